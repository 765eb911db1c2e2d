"""The context of one run, which every stage gets: its lake and corpus, and the versions it computes with."""

import datetime as dt
import uuid
from dataclasses import dataclass, replace

import pyarrow as pa

from data_contracts.emotion_prior import expected_shares
from data_contracts.lake import Lake
from data_contracts.records import ModelRef
from data_contracts.schema import tables
from features.corpus.layout import Corpus
from features.corpus.sources import Sources
from features.extraction.config import FeatureConfig
from features.resources import Resources
from models.drift.distance import DriftConfig


@dataclass(frozen=True)
class RejectFilter:
    """Rejects with these reasons and URIs; an empty tuple means any."""

    reasons: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """Context that is handed from stage to stage. `dates` None means every date there is."""

    id: str
    flow: str
    lake: Lake
    corpus: Corpus | None  # None where no audio is read
    dates: tuple[dt.date, ...] | None
    emotion: ModelRef
    speaker: ModelRef
    config: FeatureConfig
    feature_version: str
    shard_bytes: int
    resources: Resources
    pseudonym_key: str
    sources: Sources = Sources()
    emotion_prior: str | None = None  # shares expected of the emotions; None: the model's scores are taken as they are
    channel_names: tuple[str, ...] = ()  # of recordings whose manifest names none
    drift: DriftConfig = DriftConfig()
    shard_tries: int = 3
    force: bool = False
    rescore: bool = False  # also what other model versions have published
    restores: bool = False  # tables that were lost: what is added up of them is added up anew
    retry: RejectFilter | None = None  # read these rejects, and nothing else
    batch_recordings: int = 50_000  # staged, audited and published at a time
    batch: int = 0  # batches published so far

    def for_workers(self) -> "Run":
        """Return the run as each task carries it: without what workers never read, and what grows with the run."""
        return replace(self, corpus=None, dates=None, retry=None)

    @property
    def validation(self) -> str:
        return f"validation/run={self.id}" + (f"/part={self.batch}" if self.batch else "")

    @property
    def classes(self) -> list[str]:
        return list(self.emotion.metadata["classes"])

    @property
    def shares(self) -> tuple[float, ...] | None:
        """The share expected of each class; None where all count alike, or the model decides."""
        return expected_shares(self.emotion_prior, self.classes) if self.emotion_prior else None

    @property
    def dimensions(self) -> list[str]:
        """Those of arousal, valence, dominance that the emotion model predicts; most models predict none."""
        return list(self.emotion.metadata.get("dimensions", ()))

    @property
    def utterances(self) -> pa.Schema:
        """The schema of `utterances` as this run writes it."""
        return tables.utterances_schema(self.classes, self.dimensions)


def new_id(now: dt.datetime) -> str:
    """Return a unique run id that sorts by time.

    >>> new_id(dt.datetime(2026, 11, 22, 3, 0, tzinfo=dt.UTC))[:16]
    '20261122T030000Z'
    """
    return f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
