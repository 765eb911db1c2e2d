"""Reconciliation of planned, extracted, staged and published counts, as the audit's expectations read it."""

import datetime as dt
from typing import Any

import polars as pl

from data_contracts.expectations.suites import DRIFTED_COLUMN, ROUNDING_S, TABLES_WITHOUT_SUITE
from data_contracts.lake.names import is_feature_file
from data_contracts.rejects import UnscoredReason
from data_contracts.schema.tables import EMOTION_DAILY, PLAN, TABLE_KEYS
from features.store import shard_files
from tasks.aggregates.drift import drift_message
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.staging.pending import PendingRecordings, read_pending

_NIGHTS = 28


def with_unexplained(recordings: pl.DataFrame) -> pl.DataFrame:
    """Add `unexplained`: 1 for a rejected recording without a reason, or a usable one with a reason."""
    is_unexplained = (pl.col("status") == "rejected") == pl.col("reason").is_null()
    return recordings.drop("attributes").with_columns(unexplained=is_unexplained.cast(pl.Int64))


def _touched_dates(run: Run) -> list[dt.date]:
    return [dt.date.fromisoformat(day) for day in run.lake.read_json(paths.dates(run.id))["quality_daily"]]


def count_broken_keys(tables: dict[str, pl.DataFrame]) -> int:
    """Return how many rows of `TABLES_WITHOUT_SUITE` tables have a key that is null in part, or is not unique."""
    n_broken = 0
    for table in TABLES_WITHOUT_SUITE:
        keys = tables[table].select(TABLE_KEYS[table])
        n_broken += int(keys.select(pl.any_horizontal(pl.all().is_null()).sum()).item())
        n_broken += int(keys.is_duplicated().sum())
    return n_broken


def with_recording_lengths(run: Run, utterances: pl.DataFrame) -> pl.DataFrame:
    """Add the length of each recording, the sum of the scores, and where a reason contradicts what there is.

    `unscored` is 1 where scores and their reason contradict each other, `unidentified` where the speaker and its do.
    """
    lengths = (
        read_pending(run)
        .filter(pl.col("status") == "ok")
        .group_by("recording_id")
        .agg(recording_s=pl.col("seconds").max())
        .with_columns(recording_s_rounded=pl.col("recording_s") + ROUNDING_S)
    )
    scores = [f"score_{label}" for label in run.classes]
    total = pl.sum_horizontal(scores, ignore_nulls=False) if scores else pl.lit(None, pl.Float64)
    has_score = [pl.col(name).is_not_null() for name in ("emotion", *scores)]
    has_reason = pl.col("emotion_reason").is_not_null()
    is_consistent = pl.when(has_reason).then(~pl.any_horizontal(has_score)).otherwise(pl.all_horizontal(has_score))
    has_dimension = [pl.col(name).is_finite().fill_null(False) for name in run.dimensions]
    is_too_short = (pl.col("emotion_reason") == str(UnscoredReason.TOO_LITTLE_SPEECH)).fill_null(False)
    if has_dimension:
        none, every = ~pl.any_horizontal(has_dimension), pl.all_horizontal(has_dimension)
        is_consistent &= pl.when(is_too_short).then(none).otherwise(every)
    has_speaker = [pl.col(name).is_not_null() for name in ("speaker_id", "speaker_score")]
    is_identified = pl.when(pl.col("speaker_reason").is_null()).then(pl.all_horizontal(has_speaker))
    return utterances.join(lengths, on="recording_id", how="left").with_columns(
        score_sum=total,
        unscored=(~is_consistent).cast(pl.Int64),
        unidentified=(~is_identified.otherwise(~pl.any_horizontal(has_speaker))).cast(pl.Int64),
    )


def reconcile(
    run: Run, pending: PendingRecordings, n_uncounted: int, tables: dict[str, pl.DataFrame]
) -> dict[str, Any]:
    """Compare the counts of earlier stages with the staged rows, and this run with those before it."""
    counted = read_pending(run).filter("counted")
    planned, extracted = _planned_and_extracted(run, pending)
    unaccounted = planned.join(extracted, on=["uri", "etag"], how="anti")
    utterances, daily = tables["utterances"], tables["emotion_daily"]
    by_date = (
        utterances.filter(pl.col("emotion").is_not_null())
        .group_by("date")
        .len()
        .join(daily.group_by("date").agg(pl.col("n_utterances").sum()), on="date", how="left")
    )
    past_volume = None if run.retry else _past_utterances_a_day(run, daily["date"])  # a few files are no night
    n_deleted = _n_deleted_utterances(run)
    return {
        "recordings_missing": abs(pending.n_recordings - tables["recordings"].height)
        + abs(n_uncounted)
        + unaccounted.height,
        "utterances_missing": int(counted["n_segments"].sum() or 0) - utterances.height,
        "daily_utterances_missing": int((by_date["len"] > by_date["n_utterances"].fill_null(0)).sum()),
        "daily_keys_broken": count_broken_keys(tables),
        DRIFTED_COLUMN: drift_message(tables["drift"], _touched_dates(run)),
        "volume_ratio": _utterances_a_day(daily) / past_volume if past_volume and daily.height else None,
        "lost_share": n_deleted / max(1, n_deleted + utterances.height),
    }


def _planned_and_extracted(run: Run, pending: PendingRecordings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the objects (uri and etag) of this run's own shards: as planned, and as the store holds them."""
    key = ["uri", "etag"]
    nothing = pl.DataFrame(PLAN.empty_table()).select(key)
    planned, extracted = [nothing], [nothing]
    for date in pending.dates:
        folder = paths.plan_of_date(run.id, date)
        plans = list(filter(is_feature_file, run.lake.names(folder)))
        if plans:
            shards = [name.removesuffix(".parquet") for name in plans]
            stored = shard_files.rows(run.lake, run.feature_version, date, key).filter(pl.col("shard").is_in(shards))
            planned.append(run.lake.read_files([f"{folder}/{name}" for name in plans], key).select(key))
            extracted.append(stored.select(key))
    return pl.concat(planned), pl.concat(extracted)


def _n_deleted_utterances(run: Run) -> int:
    """Published utterances that this run would delete."""
    return int(run.lake.read_parquet(paths.deletes(run.id, "utterances")).num_rows)


def _past_utterances_a_day(run: Run, touched: pl.Series) -> float | None:
    """Mean utterances a day of the newest published days, without those that are `touched`."""
    daily = run.lake.frame("emotion_daily", EMOTION_DAILY).select("date", "n_utterances")
    others = daily.filter(~pl.col("date").is_in(touched.implode())).collect()
    newest = others.filter(pl.col("date").is_in(others["date"].unique().sort().tail(_NIGHTS).implode()))
    return _utterances_a_day(newest) if newest.height else None


def _utterances_a_day(daily: pl.DataFrame) -> float:
    """Mean utterances a day."""
    return float(daily["n_utterances"].sum() / daily["date"].n_unique())
