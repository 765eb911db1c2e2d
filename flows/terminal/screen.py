"""Standard output, for people: how wide it is, and what may go there of words that others wrote."""

import re
import sys
from typing import Literal

from rich.console import Console
from rich.markup import escape

Format = Literal["table", "csv", "json", "parquet"]
_PIPE_WIDTH = 150

# Control characters move the cursor and colour the screen (ECMA-48, of which ESC is one way in and U+009B another);
# U+2028 and U+2029 end a line; the others turn the order of what follows (Unicode Standard Annex 9).
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def make_console() -> Console:
    """As wide as the window; wide where there is none."""
    return Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH)


def escape_control(words: str, *, keep: str = "") -> str:
    r"""What a terminal would obey instead of showing it, as the escape that Python writes for it.

    >>> escape_control("call\n\x1b[31m.flac")
    'call\\n\\x1b[31m.flac'
    """
    return _CONTROL.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), words)


def escape_for_console(words: str) -> str:
    """For `console.print`: neither the terminal nor Rich's markup takes it for more than words."""
    return escape(escape_control(words, keep="\n"))


def escape_control_in_json(document: str) -> str:
    r"""JSON that says the same: what JSON does not escape by itself, and a terminal would obey, as \uXXXX."""
    return _CONTROL.sub(lambda found: found[0] if found[0] < " " else f"\\u{ord(found[0]):04x}", document)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()
