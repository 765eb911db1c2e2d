"""Runs and model references for tests of single stages: everything has a value, nothing has to exist."""

import datetime as dt
from typing import Any

from data_contracts.lake import Lake
from data_contracts.records import ModelRef
from features.extraction.config import FeatureConfig
from features.resources import Resources
from tasks.run.context import Run

CLASSES = ("anger", "neutral")


def model_ref(name: str, **metadata: Any) -> ModelRef:
    """Version 1 of a model whose artifact is nowhere."""
    return ModelRef(name, "1", "nowhere", "f" * 32, metadata)


def make_run(lake: Lake | None, *dates: dt.date, **fields: Any) -> Run:
    """A backfill over these dates, or over every date where none is given; `fields` are those of `Run`."""
    usual = {
        "id": "r1",
        "flow": "backfill",
        "corpus": None,
        "emotion": model_ref("emotion", classes=list(CLASSES)),
        "speaker": model_ref("speaker", dim=4),
        "config": FeatureConfig(),
        "feature_version": "v1",
        "shard_bytes": 1,
        "resources": Resources(),
        "pseudonym_key": "key",
    }
    return Run(lake=lake, dates=dates or None, **usual | fields)  # type: ignore[arg-type]
