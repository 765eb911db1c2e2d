"""Search for a recording among millions, and its published rows."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from data_contracts.lake import Lake
from data_contracts.lake.snapshot import Snapshot, snapshot
from data_contracts.schema.tables import RECORDINGS, UNKNOWN_KIND
from features.segmentation.segments import Span
from flows.dashboard.filters import Filters

LIST_COLUMNS = ("recording_id", "date", "uri", "seconds", "channels")


@dataclass(frozen=True)
class Recording:
    """A published recording. `utterances`: channel, start_s, end_s, emotion, score, name, speaker_known."""

    recording_id: str
    date: dt.date
    uri: str
    seconds: float
    channels: tuple[int, ...]  # the analysed ones
    utterances: pl.DataFrame

    @property
    def name(self) -> str:
        return self.uri.rpartition("/")[2]

    def within(self, span: Span) -> pl.DataFrame:
        """Return the utterances that overlap the span."""
        return self.utterances.filter(pl.col("end_s") > span.start_s, pl.col("start_s") < span.end_s)


def search(lake: Lake, selection: Filters, words: str = "", limit: int = 30) -> pl.DataFrame:
    """Return `LIST_COLUMNS` of usable recordings whose URI contains `words`, newest first.

    Searches the newest days first, then longer and longer spans: a year is read only where newer days have no match.
    """
    tables, found, last, n_days = snapshot(lake), _no_rows(), selection.last, 1
    while found.height < limit and last >= selection.first:
        first = max(selection.first, last - dt.timedelta(days=n_days - 1))
        found = pl.concat([found, _search_dates(tables, selection, first, last, words, limit - found.height)])
        last, n_days = first - dt.timedelta(days=1), n_days * 4
    return found


def option_label(row: Mapping[str, Any]) -> str:
    """Return the text of a found recording in a list: its day, name and length."""
    return f"{row['date']}  {row['uri'].rpartition('/')[2]}  ({row['seconds']:.0f} s, {row['recording_id'][:6]})"


def read_recording(lake: Lake, recording_id: str, date: dt.date) -> Recording | None:
    """Return one recording with its utterances, or None; only files of its date are opened."""
    tables = snapshot(lake)
    is_wanted = (pl.col("recording_id") == recording_id) & (pl.col("date") == date)
    rows = (
        tables.scan("recordings")
        .filter(is_wanted, pl.col("status") == "ok")
        .select(LIST_COLUMNS)
        .sort("uri")
        .head(1)
        .collect()
    )
    if not rows.height:
        return None
    row = rows.row(0, named=True)
    speakers = tables.scan("speakers").select("speaker_id", "name")
    utterances = tables.scan("utterances").filter(is_wanted).join(speakers, on="speaker_id", how="left").collect()
    scores = [name for name in utterances.columns if name.startswith("score_")]
    columns = utterances.sort("start_s", "channel").select(
        "channel",
        "start_s",
        "end_s",
        pl.col("emotion").fill_null("too little said"),
        pl.max_horizontal(scores).alias("score") if scores else pl.lit(None, pl.Float64).alias("score"),
        pl.coalesce("name", "speaker_id", pl.lit(UNKNOWN_KIND)).alias("name"),
        "speaker_known",
    )
    channels = tuple(row["channels"] or [0])
    return Recording(recording_id, date, row["uri"], row["seconds"], channels, columns)


def _search_dates(
    tables: Snapshot, selection: Filters, first: dt.date, last: dt.date, words: str, limit: int
) -> pl.DataFrame:
    return (
        tables.scan("recordings")
        .filter(
            pl.col("date").is_between(first, last),
            pl.col("status") == "ok",
            pl.col("source").is_in(selection.sources),
            pl.col("uri").str.to_lowercase().str.contains(words.lower(), literal=True),
        )
        .select(LIST_COLUMNS)
        .sort("date", "uri", descending=[True, False])
        .head(limit)
        .collect()
    )


def _no_rows() -> pl.DataFrame:
    return pl.DataFrame(RECORDINGS.empty_table()).select(LIST_COLUMNS)
