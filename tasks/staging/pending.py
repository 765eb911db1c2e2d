"""Recordings that wait: in the store, and not yet in the tables as they are."""

import datetime as dt
from dataclasses import dataclass, field

import polars as pl

from data_contracts.rejects import RETRYABLE
from features.store import history, shard_files
from tasks.run import staging_paths as paths
from tasks.run.context import Run


@dataclass(frozen=True)
class PendingRecordings:
    """How many recordings wait, the shards by date that hold their features, and the tables as they stood.

    `dates` are those that were looked at, `rest` those that were not yet.
    """

    n_recordings: int
    shards: dict[dt.date, list[str]]
    base: dict[str, int]
    dates: tuple[dt.date, ...] = ()
    rest: tuple[dt.date, ...] = field(default=())


def dates_in_store(run: Run) -> tuple[dt.date, ...]:
    """The dates of the run's window of which the store holds anything, in their order."""
    found = shard_files.dates(run.lake, run.feature_version)
    return tuple(found if run.dates is None else sorted(set(run.dates) & set(found)))


def take_dates(run: Run, rest: list[dt.date]) -> pl.DataFrame:
    """What was read last under each name on the first of these dates, which are taken off."""
    frames = [history.recordings(run.lake, run.feature_version, rest.pop(0)).collect()]
    while rest and sum(map(len, frames)) < run.batch_recordings:
        following = history.recordings(run.lake, run.feature_version, rest[0]).collect()
        if sum(map(len, frames)) + len(following) > run.batch_recordings:
            break
        frames.append(following)
        rest.pop(0)
    return history.latest_per_uri(pl.concat(frames).lazy()).collect()


def shards_by_date(pending: pl.DataFrame) -> dict[dt.date, list[str]]:
    """The shards that hold the features of counted recordings."""
    counted = pending.filter("counted").select("date", "shard").unique().sort("date", "shard")
    return {date: group["shard"].to_list() for (date,), group in counted.group_by("date", maintain_order=True)}


def read_pending(run: Run) -> pl.DataFrame:
    """The rows that `select` wrote."""
    return pl.DataFrame(run.lake.read_parquet(paths.pending(run.id)))


def unpublished(run: Run, current: pl.DataFrame, published: pl.DataFrame) -> pl.DataFrame:
    """Leaves out what is published as it is, contents older than the published, and failed reads of what is shown."""
    shown = published.select("uri", shown_etag="etag", shown_read_at="read_at", shown_status="status")
    outdated = (pl.col("shown_etag") != pl.col("etag")) & (pl.col("shown_read_at") > pl.col("read_at"))
    failed = (pl.col("shown_status") == "ok") & pl.col("reason").is_in([str(reason) for reason in RETRYABLE])
    current = current.join(shown, on="uri", how="left").filter(~outdated.fill_null(False), ~failed.fill_null(False))
    current = current.drop("shown_etag", "shown_read_at", "shown_status")
    if run.force:
        return current
    labels = {"feature_version": run.feature_version}
    if run.rescore:
        labels |= {"emotion_model": run.emotion.label, "speaker_model": run.speaker.label}
    same = published.filter(*(pl.col(name) == label for name, label in labels.items()))
    return current.join(same.select("uri", "etag", "tries"), on=["uri", "etag", "tries"], how="anti")


def with_counted(pending: pl.DataFrame, related: pl.DataFrame) -> pl.DataFrame:
    """`counted`: true for the one name of a recording under which its utterances are kept."""
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
