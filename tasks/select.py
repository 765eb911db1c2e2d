"""Between extraction and publication: what does the store hold that the tables do not show yet?

This is what makes a run resume: it asks the store and the tables, not the memory of the run that died.
"""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from data_contracts.lake import Lake
from data_contracts.reasons import PASSING
from data_contracts.schemas import RECORDINGS
from features import store
from tasks.run import Run
from tasks.stage import stage

_BASE = ("utterances", "speakers", "recordings")


@dataclass(frozen=True)
class Pending:
    """How many recordings wait, the shards by date that hold their features, and the tables as they stood."""

    n_recordings: int
    shards: dict[dt.date, list[str]]
    base: dict[str, int]


@stage
def select(run: Run) -> Pending:
    """Writes `pending.parquet`: the window's recordings that are unpublished, or published with other versions.

    The column `counted` is true for the one name of a recording under which its utterances are kept: its first by
    date and URI. A copy is listed, and not counted again.
    """
    base = versions(run.lake)
    published = run.lake.frame("recordings", RECORDINGS)
    held = store.dates(run.lake, run.feature_version)
    dates = held if run.dates is None else sorted(set(run.dates) & set(held))
    frames = [store.recordings(run.lake, run.feature_version, date) for date in dates]
    if not frames:
        return Pending(0, {}, base)
    pending = _unpublished(run, store.last_read(pl.concat(frames)), published).collect()
    if pending.is_empty():
        return Pending(0, {}, base)
    pending = _counted(pending, published)
    run.lake.write_parquet(pending_path(run), pending.to_arrow())
    counted = pending.filter("counted").select("date", "shard").unique().sort("date", "shard")
    shards = {date: group["shard"].to_list() for (date,), group in counted.group_by("date", maintain_order=True)}
    return Pending(len(pending), shards, base)


def pending_path(run: Run) -> str:
    return f"{run.staging}/pending.parquet"


def pending(run: Run) -> pl.DataFrame:
    """The rows that `select` wrote."""
    return pl.DataFrame(run.lake.read_parquet(pending_path(run)))


def versions(lake: Lake) -> dict[str, int]:
    """The Delta versions that a run builds upon; -1 before a table's first publication."""
    tables = {table: lake.delta(table) for table in _BASE}
    return {table: -1 if delta is None else int(delta.version()) for table, delta in tables.items()}


def _unpublished(run: Run, current: pl.LazyFrame, published: pl.LazyFrame) -> pl.LazyFrame:
    """Leaves out what is published as it is, contents older than the published, and failed reads of what is shown."""
    shown = published.select("uri", shown_etag="etag", shown_read_at="read_at", shown_status="status")
    outdated = (pl.col("shown_etag") != pl.col("etag")) & (pl.col("shown_read_at") > pl.col("read_at"))
    failed = (pl.col("shown_status") == "ok") & pl.col("reason").is_in([str(reason) for reason in PASSING])
    current = current.join(shown, on="uri", how="left").filter(~outdated.fill_null(False), ~failed.fill_null(False))
    current = current.drop("shown_etag", "shown_read_at", "shown_status")
    if run.force:
        return current
    labels = {"feature_version": run.feature_version}
    if run.rescore:
        labels |= {"emotion_model": run.emotion.label, "speaker_model": run.speaker.label}
    same = published.filter(*(pl.col(name) == label for name, label in labels.items()))
    return current.join(same.select("uri", "etag", "tries"), on=["uri", "etag", "tries"], how="anti")


def _counted(pending: pl.DataFrame, published: pl.LazyFrame) -> pl.DataFrame:
    usable = pending.filter(pl.col("status") == "ok").select("recording_id", "date", "uri")
    elsewhere = (
        published.filter(pl.col("status") == "ok")
        .select("recording_id", "date", "uri")
        .join(usable.lazy().select("recording_id").unique(), on="recording_id", how="semi")
        .join(pending.lazy().select("uri"), on="uri", how="anti")
        .collect()
    )
    first = (
        pl.concat([usable, elsewhere])
        .sort("recording_id", "date", "uri")
        .unique("recording_id", keep="first", maintain_order=True)
        .with_columns(counted=pl.lit(True))
    )
    return pending.join(first, on=["recording_id", "date", "uri"], how="left").with_columns(
        pl.col("counted").fill_null(False)
    )
