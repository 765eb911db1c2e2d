"""Console for standard output, and escaping of text that could control the terminal."""

import re
import sys
from typing import IO, Literal, cast

from rich.console import Console
from rich.markup import escape

from flows.terminal.streams import LenientStream

Format = Literal["table", "csv", "json", "parquet"]
_PIPE_WIDTH = 150

# Control characters move the cursor and colour the screen (ECMA-48: sequences begin with ESC or U+009B);
# U+2028 and U+2029 end a line; the others change the direction of text (Unicode Standard Annex 9).
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def make_console() -> Console:
    """Return a console as wide as the window, or wide where there is none."""
    is_window = sys.stdout is not None and sys.stdout.isatty()
    return Console(file=_lenient("stdout"), width=None if is_window else _PIPE_WIDTH)


def make_error_console() -> Console:
    return Console(file=_lenient("stderr"), stderr=True)


def require_written(console: Console) -> None:
    """Raise OSError where an answer could not be printed, for a full disk."""
    if isinstance(console.file, LenientStream):
        console.file.require_written()


def _lenient(name: Literal["stdout", "stderr"]) -> IO[str]:
    return cast(IO[str], LenientStream(name))


def escape_control(words: str, *, keep: str = "") -> str:
    r"""Replace characters that a terminal would obey by their Python escapes.

    >>> escape_control("call\n\x1b[31m.flac")
    'call\\n\\x1b[31m.flac'
    """
    return _CONTROL.sub(lambda match: match[0] if match[0] in keep else _escape(match[0]), words)


def escape_for_console(words: str) -> str:
    """Escape text for `console.print`: control characters and Rich's markup."""
    return escape(escape_control(words, keep="\n"))


def escape_control_in_json(document: str) -> str:
    r"""Return the same JSON with every control character that JSON leaves as is written as \uXXXX."""
    return _CONTROL.sub(lambda match: match[0] if match[0] < " " else f"\\u{ord(match[0]):04x}", document)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()
