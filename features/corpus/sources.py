"""Which part of the corpus a recording comes from: a queue, a branch, a study; its manifest says it, or its folder."""

import datetime as dt
import json
from dataclasses import dataclass

from features.corpus.layout import DEFAULT_LAYOUT, split_at_date, strip_protocol


@dataclass(frozen=True)
class Sources:
    """How a corpus lies. `root` is empty where no corpus is known: then the address alone has to say it."""

    root: str = ""
    layout: str = DEFAULT_LAYOUT

    def source_of(self, uri: str, date: dt.date, attributes: str | None = None) -> str:
        """The manifest's attribute `source`; else the first folder below the date's (or below the root, where folders
        say no date); else the last name of the corpus.

        >>> Sources().source_of("s3://calls/2026/11/21/support/a.flac", dt.date(2026, 11, 21))
        'support'
        >>> Sources().source_of("s3://calls/2026/11/21/a.flac", dt.date(2026, 11, 21))
        'calls'
        """
        told = _manifest_source(attributes)
        if told:
            return told
        corpus, below = split_at_date(uri, self.layout, date) or self._around_the_root(uri)
        first, _, rest = below.partition("/")
        return first if rest else _last_name(self.root or corpus)

    def _around_the_root(self, uri: str) -> tuple[str, str]:
        """Without a root, the file's own folder stands for it."""
        path, root = strip_protocol(uri), strip_protocol(self.root).rstrip("/")
        if root and path.startswith(f"{root}/"):
            return root, path.removeprefix(f"{root}/")
        folder, _, name = path.rpartition("/")
        return folder, name


def _manifest_source(attributes: str | None) -> str:
    if not attributes or '"source"' not in attributes:
        return ""
    return str(json.loads(attributes).get("source", "")).strip()


def _last_name(path: str) -> str:
    """
    >>> _last_name("s3://calls/2026/"), _last("/")
    ('2026', '/')
    """
    return path.rstrip("/").rpartition("/")[2] or path
