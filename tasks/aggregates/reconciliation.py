"""Reconciliation of what was planned, extracted, staged and published, as the audit's expectations read it."""

import datetime as dt
from typing import Any

import polars as pl

from data_contracts.expectations.suites import DRIFTED_COLUMN, ROUNDING_S, TABLES_WITHOUT_SUITE
from data_contracts.rejects import UnscoredReason
from data_contracts.schema.tables import EMOTION_DAILY, PLAN, TABLE_KEYS
from features.store import shard_files
from tasks.aggregates.drift import drift_message
from tasks.run import staging_paths as paths
from tasks.run.context import Run
from tasks.staging.pending import PendingRecordings, read_pending

_NIGHTS = 28


def with_unexplained(recordings: pl.DataFrame) -> pl.DataFrame:
    """`unexplained` counts rejected recordings without a reason, and usable ones with one."""
    odd = (pl.col("status") == "rejected") == pl.col("reason").is_null()
    return recordings.drop("attributes").with_columns(unexplained=odd.cast(pl.Int64))


def _touched_dates(run: Run) -> list[dt.date]:
    return [dt.date.fromisoformat(day) for day in run.lake.read_json(paths.dates(run.id))["quality_daily"]]


def count_broken_keys(tables: dict[str, pl.DataFrame]) -> int:
    """Rows of `COUNTED` tables whose key is null in part, or another's too."""
    broken = 0
    for table in TABLES_WITHOUT_SUITE:
        keys = tables[table].select(TABLE_KEYS[table])
        broken += int(keys.select(pl.any_horizontal(pl.all().is_null()).sum()).item())
        broken += int(keys.is_duplicated().sum())
    return broken


def with_recording_lengths(run: Run, utterances: pl.DataFrame) -> pl.DataFrame:
    """With the length of each recording, the sum of the scores, and whether `unscored` contradicts what was scored."""
    lengths = (
        read_pending(run)
        .filter(pl.col("status") == "ok")
        .group_by("recording_id")
        .agg(recording_s=pl.col("seconds").max())
        .with_columns(recording_s_rounded=pl.col("recording_s") + ROUNDING_S)
    )
    scores = [f"score_{label}" for label in run.classes]
    total = pl.sum_horizontal(scores, ignore_nulls=False) if scores else pl.lit(None, pl.Float64)
    scored = [pl.col(name).is_not_null() for name in ("emotion", *scores)]
    explained = pl.col("emotion_reason").is_not_null()
    right = pl.when(explained).then(~pl.any_horizontal(scored)).otherwise(pl.all_horizontal(scored))
    told = [pl.col(name).is_finite().fill_null(False) for name in run.dimensions]
    little = (pl.col("emotion_reason") == str(UnscoredReason.TOO_LITTLE_SPEECH)).fill_null(False)
    if told:
        right &= pl.when(little).then(~pl.any_horizontal(told)).otherwise(pl.all_horizontal(told))
    return utterances.join(lengths, on="recording_id", how="left").with_columns(
        score_sum=total, unscored=(~right).cast(pl.Int64)
    )


def reconcile(
    run: Run, waiting: PendingRecordings, n_uncounted: int, tables: dict[str, pl.DataFrame]
) -> dict[str, Any]:
    """What was counted on the way against what is staged, and this run against those before."""
    counted = read_pending(run).filter("counted")
    planned, extracted = _planned_and_extracted(run, waiting)
    unaccounted = planned.join(extracted, on=["uri", "etag"], how="anti")
    utterances, daily = tables["utterances"], tables["emotion_daily"]
    own = (
        utterances.filter(pl.col("emotion").is_not_null())
        .group_by("date")
        .len()
        .join(daily.group_by("date").agg(pl.col("n_utterances").sum()), on="date", how="left")
    )
    past_volume = None if run.retry else _past_utterances_a_day(run, daily["date"])  # a few files are no night
    lost = _n_deleted_utterances(run)
    return {
        "recordings_missing": abs(waiting.n_recordings - tables["recordings"].height)
        + abs(n_uncounted)
        + unaccounted.height,
        "utterances_missing": int(counted["n_segments"].sum() or 0) - utterances.height,
        "daily_utterances_missing": int((own["len"] > own["n_utterances"].fill_null(0)).sum()),
        "daily_keys_broken": count_broken_keys(tables),
        DRIFTED_COLUMN: drift_message(tables["drift"], _touched_dates(run)),
        "volume_ratio": _utterances_a_day(daily) / past_volume if past_volume and daily.height else None,
        "lost_share": lost / max(1, lost + utterances.height),
    }


def _planned_and_extracted(run: Run, waiting: PendingRecordings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The objects, by uri and etag, of this run's own shards: as they were planned, and as the store holds them."""
    key = ["uri", "etag"]
    nothing = pl.DataFrame(PLAN.empty_table()).select(key)
    planned, extracted = [nothing], [nothing]
    for date in waiting.dates:
        folder = paths.plan_of_date(run.id, date)
        plans = run.lake.names(folder)
        if plans:
            shards = [name.removesuffix(".parquet") for name in plans]
            held = shard_files.rows(run.lake, run.feature_version, date, key).filter(pl.col("shard").is_in(shards))
            planned.append(run.lake.read_files([f"{folder}/{name}" for name in plans], key).select(key))
            extracted.append(held.select(key))
    return pl.concat(planned), pl.concat(extracted)


def _n_deleted_utterances(run: Run) -> int:
    """Utterances that the tables show, and that this run would take away."""
    return int(run.lake.read_parquet(paths.deletes(run.id, "utterances")).num_rows)


def _past_utterances_a_day(run: Run, touched: pl.Series) -> float | None:
    """Mean utterances of the newest published days but those that are `touched`."""
    daily = run.lake.frame("emotion_daily", EMOTION_DAILY).select("date", "n_utterances")
    others = daily.filter(~pl.col("date").is_in(touched.implode())).collect()
    newest = others.filter(pl.col("date").is_in(others["date"].unique().sort().tail(_NIGHTS).implode()))
    return _utterances_a_day(newest) if newest.height else None


def _utterances_a_day(daily: pl.DataFrame) -> float:
    """Mean utterances of the days."""
    return float(daily["n_utterances"].sum() / daily["date"].n_unique())
