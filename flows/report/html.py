"""HTML elements: only what this module makes is markup; data is escaped text."""

from html import escape

from flows.terminal.screen import escape_control


class Html(str):
    """Markup; a plain str is text."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str | None) -> Html:
    """Return an element; `class_` stands for class, and an attribute that is None is left out.

    >>> element("p", "5 < 6 ", element("b", "really"), class_="x")
    '<p class="x">5 &lt; 6 <b>really</b></p>'
    """
    markup = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(escape_control(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{markup}>{join(*children)}</{name}>")


def join(*children: str) -> Html:
    return Html(
        "".join(child if isinstance(child, Html) else escape(escape_control(child, keep="\n")) for child in children)
    )


def table(head: list[str], rows: list[list[str]], *, numbers: int = 0) -> Html:
    """Return a table that scrolls on narrow screens; its last `numbers` columns are aligned right."""
    first = len(head) - numbers

    def line(name: str, cells: list[str]) -> Html:
        return element(
            "tr", *(element(name, cell, class_="n" if place >= first else None) for place, cell in enumerate(cells))
        )

    body = join(*(line("td", cells) for cells in rows))
    return element("div", element("table", element("thead", line("th", head)), element("tbody", body)), class_="wide")


def bar_list(rows: list[tuple[str, float, str, str]], label: str) -> Html:
    """Return a list of bars from rows of name, value, label and colour. The longest fills the line."""
    largest = max((value for _, value, _, _ in rows), default=0) or 1.0
    lines = [
        element(
            "li",
            element("span", name, class_="what"),
            element(
                "span", element("i", style=f"width:{100 * value / largest:.1f}%;background:{colour}"), class_="bar"
            ),
            element("span", words, class_="n"),
        )
        for name, value, words, colour in rows
    ]
    return element("ul", *lines, class_="bars", aria_label=label)
