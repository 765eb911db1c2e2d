"""Comparison of two emotion models on the same utterances: agreement, and examples of disagreement."""

import datetime as dt
import json
from typing import NamedTuple

import polars as pl

from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from data_contracts.lake.snapshot import Snapshot
from data_contracts.schema.tables import UTTERANCE_KEY
from flows.dashboard.filters import Filters, ask

MAX_DAYS = 14  # compared at a time: the newest


class ScoredVersion(NamedTuple):
    """Version of the utterances that a model's newest run left."""

    emotion_model: str
    run_id: str
    version: int  # Delta's, of the table

    @property
    def label(self) -> str:
        return f"{self.emotion_model}, run {self.run_id}"


class Agreement(NamedTuple):
    """Agreement of two models. `pairs`: left, right, n. `differ`: differing utterances, the most certain first."""

    first: dt.date
    last: dt.date
    n: int
    n_same: int
    pairs: pl.DataFrame
    differ: pl.DataFrame


def scored_versions(lake: Lake) -> list[ScoredVersion]:
    """Return one version for each emotion model, the newest first."""
    runs = ask(
        lake, "SELECT run_id, emotion_model, versions FROM runs WHERE versions IS NOT NULL ORDER BY started DESC"
    )
    newest: dict[str, ScoredVersion] = {}
    for run_id, model, versions in runs.iter_rows():
        version = json.loads(versions).get("utterances", -1)
        if version >= 0:
            newest.setdefault(model, ScoredVersion(model, run_id, version))
    return list(newest.values())


def compare(lake: Lake, selection: Filters, left: ScoredVersion, right: ScoredVersion, limit: int = 10) -> Agreement:
    """Compare the newest `MAX_DAYS` of the selected days. Raises UsageError where a version is not kept any more."""
    first = max(selection.first, selection.last - dt.timedelta(days=MAX_DAYS - 1))
    a, b = (_rows(lake, version, first, selection.last) for version in (left, right))
    both = a.join(b.drop("date", "start_s", "end_s"), on=UTTERANCE_KEY, suffix="_right")
    both = both.rename(
        {"emotion": "left", "emotion_right": "right", "score": "left_score", "score_right": "right_score"}
    )
    pairs = both.group_by("left", "right").agg(n=pl.len().cast(pl.Int64)).sort("left", "right")
    disagreements = both.filter(pl.col("left") != pl.col("right"))
    certainty = pl.min_horizontal("left_score", "right_score")
    differ = disagreements.sort(certainty, *UTTERANCE_KEY, descending=[True, False, False, False]).head(limit)
    return Agreement(first, selection.last, both.height, both.height - disagreements.height, pairs, differ)


def _rows(lake: Lake, version: ScoredVersion, first: dt.date, last: dt.date) -> pl.DataFrame:
    """Return key, date, times, emotion and score of the model's utterances in these days; opens only their files."""
    try:
        rows = Snapshot(lake, version.run_id, {"utterances": version.version}).scan("utterances")
        scores = [name for name in rows.collect_schema().names() if name.startswith("score_")]
        return (
            rows.filter(
                pl.col("date").is_between(first, last),
                pl.col("emotion_model") == version.emotion_model,
                pl.col("emotion").is_not_null(),
            )
            .select(*UTTERANCE_KEY, "date", "start_s", "end_s", "emotion", pl.max_horizontal(scores).alias("score"))
            .collect()
        )
    except (FileNotFoundError, OSError) as error:
        raise UsageError(
            f"expected version {version.version} of the utterances, which run {version.run_id} left; it is not kept "
            "any more: `undertone maintain` keeps versions for `keep_versions_days`; choose a newer run"
        ) from error
