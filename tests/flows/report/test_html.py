"""Data stays text in the HTML, whatever it holds."""

from helpers.html_page import Reported
from hypothesis import given
from hypothesis import strategies as st

from flows.report.html import bar_list, element, table

HOSTILE = "</style><script>alert(1)</script><img src=//x onerror=y>\"'&\u202e\x1b[31m"


@given(st.text() | st.just(HOSTILE))
def test_no_word_becomes_markup(words):
    page = Reported(
        element("p", words, title=words)
        + table([words, "n"], [[words, words]], numbers=1)
        + bar_list([(words, 1.0, words, "red")], words)
    )
    assert page.tags <= {"p", "div", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "span", "i"}
    assert not page.handlers
    assert not page.references


def test_what_turns_the_order_of_letters_is_shown():
    assert element("p", HOSTILE).count("\\u202e") == 1


def test_bars_are_of_the_longest():
    drawn = bar_list([("a", 1.0, "1", "red"), ("b", 4.0, "4", "red")], "x")
    assert ("width:25.0%" in drawn, "width:100.0%" in drawn) == (True, True)
    assert "width:0.0%" in bar_list([("a", 0.0, "0", "red")], "x"), "nothing is no division by it"
