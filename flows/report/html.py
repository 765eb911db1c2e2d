"""HTML, in which only what was made here is markup: all that comes from data is text, and can be seen."""

from html import escape

from flows.terminal.screen import escape_control


class Html(str):
    """Markup. A plain str is text."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str | None) -> Html:
    """An element; `class_` stands for class, and an attribute that is None is left out.

    >>> element("p", "5 < 6 ", element("b", "really"), class_="x")
    '<p class="x">5 &lt; 6 <b>really</b></p>'
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(escape_control(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{told}>{join(*children)}</{name}>")


def join(*children: str) -> Html:
    return Html(
        "".join(child if isinstance(child, Html) else escape(escape_control(child, keep="\n")) for child in children)
    )


def table(head: list[str], rows: list[list[str]], *, numbers: int = 0) -> Html:
    """A table that scrolls where a phone is too narrow; its last `numbers` columns stand to the right."""
    first = len(head) - numbers

    def line(name: str, cells: list[str]) -> Html:
        return element(
            "tr", *(element(name, cell, class_="n" if place >= first else None) for place, cell in enumerate(cells))
        )

    body = join(*(line("td", cells) for cells in rows))
    return element("div", element("table", element("thead", line("th", head)), element("tbody", body)), class_="wide")


def bar_list(rows: list[tuple[str, float, str, str]], label: str) -> Html:
    """A bar a row: what it is, how much, that in words, and its colour. The longest fills the line."""
    most = max((value for _, value, _, _ in rows), default=0) or 1.0
    lines = [
        element(
            "li",
            element("span", name, class_="what"),
            element("span", element("i", style=f"width:{100 * value / most:.1f}%;background:{colour}"), class_="bar"),
            element("span", words, class_="n"),
        )
        for name, value, words, colour in rows
    ]
    return element("ul", *lines, class_="bars", aria_label=label)
