"""Pending recordings: what is published in its present form is not scored again."""

import polars as pl
import pytest
from helpers.runs import make_run

from tasks.staging.pending import drop_published

ROW = {"uri": "a.wav", "etag": "e", "tries": 1, "read_at": 0, "reason": None, "status": "ok"}


@pytest.mark.parametrize(
    ("published", "wanted", "n"),
    [("natural", "natural", 0), ("balanced", "natural", 1), (None, "natural", 1), (None, None, 0)],
)
def test_another_emotion_prior_is_another_version(published: str | None, wanted: str | None, n: int) -> None:
    run = make_run(None, rescore=True, emotion_prior=wanted)
    current = pl.DataFrame([ROW], schema_overrides={"reason": pl.String})
    labels = {
        "feature_version": run.feature_version,
        "emotion_model": run.emotion.label,
        "emotion_prior": published,
        "speaker_model": run.speaker.label,
    }
    before = current.with_columns(pl.lit(value, pl.String).alias(name) for name, value in labels.items())
    assert len(drop_published(run, current, before)) == n
