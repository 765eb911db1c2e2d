"""Read access to a lake: a table or feature set as a Polars LazyFrame, SQL over all of them with DuckDB."""

import datetime as dt
import os
from typing import TYPE_CHECKING

from data_contracts.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from flows.settings import Settings


def open(root: str | os.PathLike[str] | None = None) -> "Lake":  # noqa: A001
    """Open the lake at `root`: a folder, or an s3://, gs:// or az:// URL; without `root`, at UNDERTONE_LAKE.

    Endpoint, region and credentials of S3 are the usual AWS settings (AWS_ENDPOINT_URL, AWS_PROFILE, …); Undertone's
    own (`store_patience_s`, `registry`, …) are read from UNDERTONE_… and undertone.toml, as by its commands. No table
    is read yet. Raises UsageError where `root` cannot be a lake, or a setting is wrong.
    """
    os.environ.setdefault(
        "HF_HUB_OFFLINE", "0"
    )  # `flows` would set 1, which is meant for commands and not for notebooks
    from flows.settings import Settings

    settings = Settings.load(lake=None if root is None else os.fspath(root))
    if not settings.lake:
        raise UsageError("where is the lake? Found none; give undertone.open(DIR_OR_URL) or set UNDERTONE_LAKE")
    return Lake(settings)


class Lake:
    """Read access to the tables and feature sets of one lake; made by `open`, and can be pickled.

    `as_of` is the same everywhere: a run's id, an ISO time (UTC without an offset), a date (its end), or the Delta
    version of one table. Without it, the newest complete publication is read. If a run publishes between two reads,
    they see different publications: give both the same run's id, or read in one SQL statement. Feature sets have no
    versions: they are read as they are now.
    """

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._lake = settings.open_lake()

    @property
    def uri(self) -> str:
        """Root of the lake: an absolute path or a URL."""
        return self._lake.uri

    def __repr__(self) -> str:
        return f"undertone.open({self.uri!r})"

    def tables(self) -> list[str]:
        """Return the names that `scan` can read: published tables and stored feature sets.

        >>> import undertone as ut
        >>> ut.open("demo-lake").tables()
        ['utterances', 'runs', 'segments', 'embeddings']

        `undertone tables` and docs/tables.md say what their columns mean.
        """
        from data_contracts.lake.snapshot import snapshot
        from data_contracts.schema.feature_sets import FEATURE_SETS
        from data_contracts.schema.tables import TABLE_KEYS

        latest, stored = snapshot(self._lake), self._lake.names("features")
        return [
            *(
                name
                for name in TABLE_KEYS
                if (name in latest.versions if latest.run_id else latest.delta(name) is not None)
            ),
            *(name for name in FEATURE_SETS if name in stored and name not in TABLE_KEYS),
        ]

    def scan(self, name: str, *, as_of: str | int | dt.date | None = None) -> "pl.LazyFrame":
        """Return the table or feature set `name` as a LazyFrame: filters and columns reach the Parquet files.

        Rows of a feature set carry their `version` (`feature_version` in `utterances`) and `date`; a column that a
        version lacks is null. Raises UsageError where there is no such table or feature set (yet, or any more).
        """
        return self._lake.scan(name, as_of=_as_of_text(as_of))

    def sql(self, query: str, *, as_of: str | int | dt.date | None = None) -> "pl.DataFrame":
        """Return DuckDB's answer to `query`, in memory. Tables and feature sets are views, all of one publication.

        >>> import undertone as ut
        >>> lake = ut.open("demo-lake")
        >>> lake.sql("SELECT emotion, count(*) AS n FROM utterances GROUP BY 1").rows()
        [('anger', 2)]

        The feature set `recordings` is called `features_recordings` here. INTERVAL, BLOB and BIT come as text, a sum()
        of integers as Decimal (DuckDB's HUGEINT: cast it). For an answer larger than memory, use `undertone query`.
        Raises UsageError with DuckDB's message where the SQL is wrong, LakeError or TransientError where the store
        fails.
        """
        import polars as pl

        from flows.analytics.sql import query as ask

        return pl.DataFrame(ask(self._lake, query, as_of=_as_of_text(as_of)))


def _as_of_text(as_of: str | int | dt.date | None) -> str | None:
    """Return `as_of` as the string that the lake expects.

    >>> _as_of_text(3), _as_of_text(dt.date(2026, 11, 21)), _as_of_text(dt.datetime(2026, 11, 21, 3))
    ('3', '2026-11-21', '2026-11-21T03:00:00')
    """
    if as_of is None:
        return None
    return as_of.isoformat() if isinstance(as_of, dt.date) else str(as_of)
