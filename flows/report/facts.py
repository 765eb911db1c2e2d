"""Contents of a report: the run's row of the ledger, its failures, and aggregates of its dates.

DuckDB reads the tables as the run left them, or the current ones where those are gone or never were. The contents do
not grow with the lake.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import polars as pl

from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from flows.analytics.sql import connect

_HISTORY = dt.timedelta(days=27)  # before the last date, to compare a night with
_MAX_DAYS = dt.timedelta(days=91)
_TOP = 10

_DAYS = "date BETWEEN $first AND $last"
_RUN_DAYS = "date BETWEEN $run_first AND $last"
_SQL = {
    "emotions": f"""SELECT date, emotion, sum(n_utterances)::BIGINT AS n_utterances, sum(speech_s) AS speech_s
        FROM emotion_daily WHERE {_DAYS} GROUP BY ALL ORDER BY ALL""",
    "speakers": f"""SELECT coalesce(s.name, d.speaker_id) AS name, coalesce(s.kind, d.speaker_id) AS kind,
        sum(d.n_utterances)::BIGINT AS n_utterances, sum(d.speech_s) / 60 AS speech_min,
        coalesce(min(s.first_seen) >= $run_first, false) AS is_new
        FROM speaker_daily d LEFT JOIN speakers s USING (speaker_id) WHERE {_RUN_DAYS.replace("date", "d.date")}
        GROUP BY ALL ORDER BY speech_min DESC, name LIMIT {_TOP}""",
    "sources": f"""SELECT source, sum(n_recordings)::BIGINT AS n_recordings, sum(n_rejected)::BIGINT AS n_rejected,
        coalesce(sum(n_truncated), 0)::BIGINT AS n_truncated, sum(seconds) / 3600 AS hours,
        sum(n_abstained)::BIGINT AS n_abstained, sum(n_utterances)::BIGINT AS n_utterances
        FROM quality_daily WHERE {_RUN_DAYS} GROUP BY ALL ORDER BY n_recordings DESC, source LIMIT {_TOP}""",
    "quality": f"""SELECT * FROM quality_daily WHERE {_DAYS} AND source = (SELECT source FROM quality_daily
        WHERE {_RUN_DAYS} GROUP BY 1 ORDER BY sum(n_recordings) DESC, source LIMIT 1) ORDER BY date""",
    "rejects": f"""SELECT reason, sum(n)::BIGINT AS n FROM rejects_daily
        WHERE {_RUN_DAYS} GROUP BY 1 ORDER BY n DESC, reason""",
    "examples": f"""SELECT uri, reason, error FROM rejects
        WHERE {_RUN_DAYS} AND run_id = $run_id ORDER BY uri LIMIT {_TOP}""",
    "drift": f"""SELECT date, measure, value, threshold, over FROM drift
        WHERE {_DAYS} AND value IS NOT NULL AND measure IN (
            SELECT measure FROM drift WHERE {_RUN_DAYS} AND value IS NOT NULL
            GROUP BY 1 ORDER BY max(value / nullif(threshold, 0)) DESC, measure LIMIT 5) ORDER BY date, measure""",
}


@dataclass(frozen=True)
class Facts:
    """Contents of a report. `run` has the columns of `flows.analytics.runs.HISTORY`; `frames` the names of `_SQL`."""

    lake: Lake
    run: Mapping[str, Any]
    failures: list[str]  # of the audit, each in its words
    frames: Mapping[str, pl.DataFrame]  # none where nothing was published
    is_current: bool  # the tables are those of now, not as the run left them

    @property
    def folder(self) -> str:
        return validation_folder(self.run["run_id"])


def validation_folder(run_id: str) -> str:
    """Return the folder of a run's validation and report."""
    return f"validation/run={run_id}"


def gather_facts(lake: Lake, run: Mapping[str, Any]) -> Facts:
    """Gather the contents for the run of this row; for a run that found nothing new, its row and failures alone."""
    failures = _failures(lake, run["run_id"])
    if not run["n_read"] and not run["n_published_recordings"]:
        return Facts(lake, run, failures, {}, is_current=False)
    if run["status"] == "done":
        try:
            with connect(lake, " ".join(_SQL.values()), as_of=run["run_id"]) as connection:
                return _query(lake, run, failures, connection, is_current=False)
        except UsageError:  # its versions were removed
            pass
    with connect(lake, " ".join(_SQL.values())) as connection:
        return _query(lake, run, failures, connection, is_current=True)


def _query(
    lake: Lake, run: Mapping[str, Any], failures: list[str], connection: duckdb.DuckDBPyConnection, *, is_current: bool
) -> Facts:
    last = run["window_to"] or _newest(connection)
    if last is None:
        return Facts(lake, run, failures, {}, is_current)
    run_first = max(run["window_from"] or dt.date.min, last - _MAX_DAYS)
    values = {"first": min(run_first, last - _HISTORY), "last": last, "run_first": run_first, "run_id": run["run_id"]}
    frames = {}
    for name, sql in _SQL.items():
        parameters = {key: value for key, value in values.items() if f"${key}" in sql}
        frames[name] = pl.DataFrame(connection.sql(sql, params=parameters).to_arrow_table())
    return Facts(lake, run, failures, frames, is_current)


def _newest(connection: duckdb.DuckDBPyConnection) -> dt.date | None:
    (newest,) = connection.sql("SELECT max(date) FROM quality_daily").fetchall()[0]
    return newest  # type: ignore[no-any-return]


def _failures(lake: Lake, run_id: str) -> list[str]:
    """Return the failures of every audited part, worded as `data_contracts.expectations.validation.Failure` does."""
    names = lake.names(validation_folder(run_id))
    parts = ["", *(f"/{name}" for name in names if name.startswith("part="))] if names else []
    failures = []
    for part in parts:
        try:
            verdict = lake.read_json(f"{validation_folder(run_id)}{part}/verdict.json")
        except FileNotFoundError:  # it ended before its audit
            continue
        failures += [
            f"{each['severity']}: {each['table']}: {each['expectation']}({each['columns']}): {each['found']}"
            for each in verdict["failures"]
        ]
    return failures
