"""Visible parts of an HTML page: its text, its links, and what it would load."""

from html.parser import HTMLParser

_LOADS = {"src", "href", "srcset", "data", "poster", "action", "xlink:href", "background", "formaction"}
_VOID = {"meta", "br", "link", "img", "input", "hr"}


class Reported(HTMLParser):
    """A parsed page. Raises AssertionError where an element is not closed in its order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []  # outside of <style>
        self.styles: list[str] = []
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open, self._open

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in _LOADS and value:
                self.references.append(value)
            if name.startswith("on"):
                self.handlers.append(name)
            if name == "id" and value:
                self.ids.append(value)
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, tag
        assert self._open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        (self.styles if self._open[-1:] == ["style"] else self.words).append(data)
