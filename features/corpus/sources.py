"""Which part of the corpus a recording comes from: a queue, a branch, a study; its manifest says it, or its folder."""

import datetime as dt
import json
from dataclasses import dataclass

from features.corpus.layout import DEFAULT_LAYOUT, around_the_date, without_protocol


@dataclass(frozen=True)
class Sources:
    """How a corpus lies. `root` is empty where no corpus is known: then the address alone has to say it."""

    root: str = ""
    layout: str = DEFAULT_LAYOUT

    def of(self, uri: str, date: dt.date, attributes: str | None = None) -> str:
        """The manifest's attribute `source`; else the first folder below the date's (or below the root, where folders
        say no date); else the last name of the corpus.

        >>> Sources().of("s3://calls/2026/11/21/support/a.flac", dt.date(2026, 11, 21))
        'support'
        >>> Sources().of("s3://calls/2026/11/21/a.flac", dt.date(2026, 11, 21))
        'calls'
        """
        told = _told(attributes)
        if told:
            return told
        corpus, below = around_the_date(uri, self.layout, date) or self._around_the_root(uri)
        first, _, rest = below.partition("/")
        return first if rest else _last(self.root or corpus)

    def _around_the_root(self, uri: str) -> tuple[str, str]:
        """Without a root, the file's own folder stands for it."""
        path, root = without_protocol(uri), without_protocol(self.root).rstrip("/")
        if root and path.startswith(f"{root}/"):
            return root, path.removeprefix(f"{root}/")
        folder, _, name = path.rpartition("/")
        return folder, name


def _told(attributes: str | None) -> str:
    if not attributes or '"source"' not in attributes:
        return ""
    return str(json.loads(attributes).get("source", "")).strip()


def _last(path: str) -> str:
    """
    >>> _last("s3://calls/2026/"), _last("/")
    ('2026', '/')
    """
    return path.rstrip("/").rpartition("/")[2] or path
