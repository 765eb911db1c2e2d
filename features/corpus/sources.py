"""Source of a recording, a part of the corpus (a queue, a branch, a study), from its manifest or its folder."""

import datetime as dt
import json
from dataclasses import dataclass

from features.corpus.layout import DEFAULT_LAYOUT, split_at_date, strip_protocol


@dataclass(frozen=True)
class Sources:
    """Root and layout of a corpus. With an empty `root` the source is derived from the URI alone."""

    root: str = ""
    layout: str = DEFAULT_LAYOUT

    def source_of(self, uri: str, date: dt.date, attributes: str | None = None) -> str:
        """Return the manifest's attribute `source`, else the first folder below the date's, else the corpus' last name.

        Where folders say no date, the first folder below the root counts.

        >>> Sources().source_of("s3://calls/2026/11/21/support/a.flac", dt.date(2026, 11, 21))
        'support'
        >>> Sources().source_of("s3://calls/2026/11/21/a.flac", dt.date(2026, 11, 21))
        'calls'
        """
        source = _manifest_source(attributes)
        if source:
            return source
        corpus, path = split_at_date(uri, self.layout, date) or self._split_at_root(uri)
        first, _, rest = path.partition("/")
        return first if rest else _last_name(self.root or corpus)

    def _split_at_root(self, uri: str) -> tuple[str, str]:
        """Split a URI at the root; without a root, at the file's own folder."""
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
    """Return the last part of a path.

    >>> _last_name("s3://calls/2026/"), _last_name("/")
    ('2026', '/')
    """
    return path.rstrip("/").rpartition("/")[2] or path
