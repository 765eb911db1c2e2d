"""Printed text from data: readable in full, and never obeyed by the terminal."""

import io
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from flows.terminal.output import print_rows
from flows.terminal.progress import TerminalReporter
from flows.terminal.screen import escape_control, escape_control_in_json, escape_for_console
from flows.terminal.summary import rich_table

UNSEEN = "\x00\x07\n\t\r\x1b\x7f\x9b\u061c\u200e\u202e\u2066\u2028"
HOSTILE = "[red]x[/nothing] [link=http://x]y \x1b[31m\x1b]0;title\x07 \x9b2J \u202ecalf\\"


def _printed(thing) -> str:
    """Output that a colour terminal receives."""
    file = io.StringIO()
    Console(file=file, force_terminal=True, color_system="truecolor", width=300).print(
        thing, soft_wrap=True, highlight=False
    )
    return file.getvalue()


def test_a_cell_is_shown_and_not_obeyed():
    said = _printed(rich_table(pa.table({HOSTILE: [HOSTILE]})))
    assert said.count(escape_control(HOSTILE)) == 2
    assert not set(UNSEEN) - set("\x1b\n") & set(said)
    assert all(part.startswith(("[1m", "[0m")) for part in said.split("\x1b")[1:]), "of ours: bold headers"


def test_words_between_markup():
    assert _printed(f"[bold]{escape_for_console(HOSTILE)}[/bold]") == f"\x1b[1m{escape_control(HOSTILE)}\x1b[0m\n"


def test_a_stage_says_what_it_was_given():
    file = io.StringIO()
    TerminalReporter(Console(file=file, width=300)).say(
        "", f"[yellow]warning[/yellow] {escape_for_console(HOSTILE[:-1])}"
    )
    assert file.getvalue().strip() == f"warning {escape_control(HOSTILE[:-1])}"


@given(st.text(st.characters(codec="utf-8") | st.sampled_from(UNSEEN)))
def test_json_says_the_same(words):
    document = json.dumps({"uri": words}, ensure_ascii=False)
    told = escape_control_in_json(document)
    assert json.loads(told) == {"uri": words}
    assert not set(UNSEEN) & set(told)
    assert not set(UNSEEN) & set(escape_control(words))


def test_people_may_read_what_is_no_control():
    for words in ("é ü", "שלום", "👩‍👧", "声", "a\\b"):
        assert escape_control(words) == words


def test_json_of_an_answer(capfdbinary: pytest.CaptureFixture[bytes]):
    print_rows(Console(), pa.table({"uri": [HOSTILE]}), style="json")
    document = capfdbinary.readouterr().out.decode()
    assert json.loads(document) == [{"uri": HOSTILE}]
    assert not set(UNSEEN) - {"\n"} & set(document)
