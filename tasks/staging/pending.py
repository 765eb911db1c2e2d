"""Pending recordings: in the feature store, and not yet in the tables in their present form."""

import datetime as dt
from dataclasses import dataclass, field

import polars as pl

from data_contracts.rejects import RETRYABLE
from features.store import history, shard_files
from tasks.run import staging_paths as paths
from tasks.run.context import Run


@dataclass(frozen=True)
class PendingRecordings:
    """The number of pending recordings, the shards of their features by date, and the versions of the tables.

    `dates` were examined, `rest` were not yet.
    """

    n_recordings: int
    shards: dict[dt.date, list[str]]
    base: dict[str, int]  # versions when the tables were read
    dates: tuple[dt.date, ...] = ()
    rest: tuple[dt.date, ...] = field(default=())


def dates_in_store(run: Run) -> tuple[dt.date, ...]:
    """Return the dates of the run's window that the store holds features of, sorted."""
    found = shard_files.dates(run.lake, run.feature_version)
    return tuple(found if run.dates is None else sorted(set(run.dates) & set(found)))


def take_dates(run: Run, rest: list[dt.date]) -> pl.DataFrame:
    """Pop the first dates off `rest`, as many as fill a batch, and return the last read of each URI on them."""
    frames = [history.recordings(run.lake, run.feature_version, rest.pop(0)).collect()]
    while rest and sum(map(len, frames)) < run.batch_recordings:
        following = history.recordings(run.lake, run.feature_version, rest[0]).collect()
        if sum(map(len, frames)) + len(following) > run.batch_recordings:
            break
        frames.append(following)
        rest.pop(0)
    return history.latest_per_uri(pl.concat(frames).lazy()).collect()


def shards_by_date(pending: pl.DataFrame) -> dict[dt.date, list[str]]:
    """Return the shards that hold the features of counted recordings."""
    counted = pending.filter("counted").select("date", "shard").unique().sort("date", "shard")
    return {date: group["shard"].to_list() for (date,), group in counted.group_by("date", maintain_order=True)}


def read_pending(run: Run) -> pl.DataFrame:
    """Return the rows that `select` wrote."""
    return pl.DataFrame(run.lake.read_parquet(paths.pending(run.id)))


def drop_published(run: Run, current: pl.DataFrame, published: pl.DataFrame) -> pl.DataFrame:
    """Drop what is published as it is, contents older than the published, and transient failures of usable ones."""
    columns = {f"published_{name}": name for name in ("etag", "read_at", "status")}
    is_outdated = (pl.col("published_etag") != pl.col("etag")) & (pl.col("published_read_at") > pl.col("read_at"))
    is_failed = (pl.col("published_status") == "ok") & pl.col("reason").is_in([str(reason) for reason in RETRYABLE])
    current = (
        current.join(published.select("uri", **columns), on="uri", how="left")
        .filter(~is_outdated.fill_null(False), ~is_failed.fill_null(False))
        .drop(*columns)
    )
    if run.force:
        return current
    labels: dict[str, str | None] = {"feature_version": run.feature_version}
    if run.rescore:
        labels |= {"emotion_model": run.emotion.label, "speaker_model": run.speaker.label}
        labels |= {"emotion_prior": run.emotion_prior}
    same = published.filter(*(pl.col(name).eq_missing(pl.lit(label)) for name, label in labels.items()))
    return current.join(same.select("uri", "etag", "tries"), on=["uri", "etag", "tries"], how="anti")


def with_counted(pending: pl.DataFrame, related: pl.DataFrame) -> pl.DataFrame:
    """Add `counted`: true for the one URI of a recording under which its utterances are kept."""
    usable = pending.filter(pl.col("status") == "ok").select("recording_id", "date", "uri")
    elsewhere = (
        related.filter(pl.col("status") == "ok")
        .select("recording_id", "date", "uri")
        .join(usable.select("recording_id").unique(), on="recording_id", how="semi")
        .join(pending.select("uri"), on="uri", how="anti")
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
