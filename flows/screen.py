"""Standard output, for people."""

import sys
from typing import Literal

from rich.console import Console

Format = Literal["table", "csv", "json", "parquet"]
_WIDE = 150


def screen() -> Console:
    """As wide as the window; wide where there is none."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDE)
