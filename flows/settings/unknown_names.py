"""Names in the environment and in undertone.toml that are no settings, with the setting that each resembles."""

import difflib
import functools
import logging
from collections.abc import Collection, Iterable

PREFIX = "UNDERTONE_"
_OF_TESTS = f"{PREFIX}TEST_"


def unknown_variables(environ: Iterable[str], settings: Collection[str]) -> list[str]:
    """Return a line on each variable that looks like a setting and is none.

    >>> unknown_variables(["UNDERTONE_CHANNEL", "UNDERTONE_LAKE", "HOME"], ["channels", "lake"])
    ['UNDERTONE_CHANNEL is no setting and is ignored; did you mean UNDERTONE_CHANNELS?']
    """
    known = {name.upper() for name in settings}
    names = (name for name in sorted(environ) if name.upper().startswith(PREFIX) and not name.startswith(_OF_TESTS))
    return [
        f"{name} is no setting and is ignored; {nearest(word, known, prefix=PREFIX)}"
        for name in names
        if (word := name.upper().removeprefix(PREFIX)) not in known
    ]


def nearest(name: str, known: Collection[str], *, prefix: str = "") -> str:
    """Return a question after the known name that resembles `name`, or where all are listed."""
    found = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {prefix}{found[0]}?" if found else "docs/settings.md lists all"


@functools.cache
def warn_once(line: str) -> None:
    """Log a warning once in this process."""
    logging.getLogger("undertone").warning(line)
