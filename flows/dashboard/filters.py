"""Filters of the dashboard (dates, sources, kinds of speaker), and filtered queries of the lake."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from data_contracts.lake import Lake
from flows.analytics.sql import connect

IN_DAYS = "date BETWEEN $first AND $last"
IN_SOURCES = f"{IN_DAYS} AND list_contains($sources, source)"
IN_SOURCES_AND_KINDS = f"{IN_SOURCES} AND list_contains($kinds, speaker_kind)"


@dataclass(frozen=True)
class Filters:
    """A range of dates, both included, and the sources and kinds of speaker (enrolled, found, forgotten) that count."""

    first: dt.date
    last: dt.date
    sources: tuple[str, ...]
    kinds: tuple[str, ...]

    def values(self) -> dict[str, Any]:
        """Return the values of `$first`, `$last`, `$sources` and `$kinds` in SQL."""
        return {"first": self.first, "last": self.last, "sources": list(self.sources), "kinds": list(self.kinds)}


def all_choices(lake: Lake) -> Filters | None:
    """Return filters with everything included; None while nothing was published."""
    days = ask(lake, "SELECT min(date) AS first, max(date) AS last FROM quality_daily").row(0, named=True)
    if days["first"] is None:
        return None
    sources = ask(lake, "SELECT DISTINCT source FROM quality_daily ORDER BY 1")["source"]
    kinds = ask(lake, "SELECT DISTINCT speaker_kind FROM emotion_daily ORDER BY 1")["speaker_kind"]
    return Filters(days["first"], days["last"], tuple(sources), tuple(kinds))


def ask(lake: Lake, sql: str, values: Filters | Mapping[str, Any] | None = None) -> pl.DataFrame:
    """Return DuckDB's answer; `values` fills those `$names` that the SQL holds."""
    parameters = values.values() if isinstance(values, Filters) else values or {}
    used = {name: value for name, value in parameters.items() if f"${name}" in sql}
    return pl.DataFrame(connect(lake, sql).sql(sql, params=used).to_arrow_table())
