"""Drift of each date against the weeks before it, from the daily tables alone: no feature is read again.

A verdict is about a date and the dates before it. The dates after a touched one are judged again with it, so `drift`
comes out the same in whatever order dates are published.
"""

import datetime as dt
from collections.abc import Iterator, Mapping

import polars as pl

from data_contracts.lake import Lake
from data_contracts.schema.tables import DRIFT, EMOTION_DAILY, FEATURE_DAILY, QUALITY_DAILY
from features.dsp.gemaps import EGEMAPS_NAMES
from models.drift.distance import DriftConfig, compare, is_enough
from tasks.aggregates.drift_history import History, histories

N_MEASURES = len(EGEMAPS_NAMES) + 4  # class_mix, abstained, rejected, embedding
_MAX_NAMED = 5  # measures by name
_SOURCE_TABLES = {
    "emotion_daily": EMOTION_DAILY,
    "quality_daily": QUALITY_DAILY,
    "feature_daily": FEATURE_DAILY,
}


def dates_to_judge(lake: Lake, touched: pl.Series, days: int) -> pl.Series:
    """Return the touched dates, and the published dates with a touched one among the `days` before them."""
    published = lake.frame("quality_daily", QUALITY_DAILY).select("date").unique().collect()["date"]
    following = {date + dt.timedelta(days=n) for date in touched for n in range(1, days + 1)}
    return pl.Series("date", sorted({*touched, *(following & set(published))}), pl.Date)


def drift(
    lake: Lake, judged: pl.Series, touched: pl.Series, staged: Mapping[str, pl.DataFrame], config: DriftConfig
) -> pl.DataFrame:
    """Return the rows of `drift` for the `judged` dates; `staged` are the other tables by day of the `touched` ones."""
    tables = {name: _projected_table(lake, name, judged, touched, staged[name], config.days) for name in _SOURCE_TABLES}
    rows = [row for history in histories(tables) for row in _rows(history, judged, config)]
    empty = pl.DataFrame(DRIFT.empty_table())
    return pl.DataFrame(rows, schema=empty.schema, orient="row").sort("date", "measure")


def _projected_table(
    lake: Lake, table: str, judged: pl.Series, touched: pl.Series, staged: pl.DataFrame, days: int
) -> pl.DataFrame:
    """A daily table as it will stand, on the judged dates and those that they are compared with."""
    needed = {date - dt.timedelta(days=n) for date in judged for n in range(days + 1)} - set(touched)
    published = (
        lake.frame(table, _SOURCE_TABLES[table]).select(staged.columns).filter(pl.col("date").is_in(sorted(needed)))
    )
    return pl.concat([published.collect(), staged], how="vertical_relaxed")


def _rows(history: History, judged: pl.Series, config: DriftConfig) -> Iterator[tuple[object, ...]]:
    for date in judged:
        samples = history.samples(date, config.days)
        if samples is None:
            continue
        verdict: tuple[float | bool | None, ...] = (None, None, None)
        if is_enough(*samples, config, counts_recordings=history.of_recordings):
            found = compare(history.method, *samples, config, n_measures=N_MEASURES)
            verdict = (found.value, found.threshold, found.is_over)
        sizes = [sample.n_recordings if history.of_recordings else sample.n_utterances for sample in samples]
        yield date, history.measure, history.method, *verdict, *sizes


def drift_message(rows: pl.DataFrame, touched: list[dt.date]) -> str | None:
    """Return the measures over their threshold on the touched dates, the farthest first; None where there is none.

    Drift of other dates was reported when those were published.
    """
    over = rows.filter("over", pl.col("date").is_in(touched)).sort(
        pl.col("value") / pl.col("threshold"), descending=True
    )
    words = [
        f"{row['measure']} on {row['date']} ({row['method']} {row['value']:.3g} > {row['threshold']:.3g})"
        for row in over.head(_MAX_NAMED).iter_rows(named=True)
    ]
    rest = [f"and {len(over) - _MAX_NAMED} more"] if len(over) > _MAX_NAMED else []
    return ", ".join([*words, *rest]) or None
