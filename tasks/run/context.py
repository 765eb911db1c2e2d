"""What every stage of a run shares: where it works, and with which versions."""

import datetime as dt
import uuid
from dataclasses import dataclass, replace

import pyarrow as pa

from data_contracts.lake import Lake
from data_contracts.records import ModelRef
from data_contracts.schema import tables
from features.corpus.layout import Corpus
from features.corpus.sources import Sources
from features.extraction.config import FeatureConfig
from features.resources import Resources
from models.drift.distance import DriftConfig
from tasks.run import staging_paths as paths


@dataclass(frozen=True)
class RejectFilter:
    """Which of the rejects are meant: those of these reasons and URIs; all where none is named."""

    reasons: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One run, as it is handed from stage to stage. `dates` None means every date there is."""

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
    channel_names: tuple[str, ...] = ()  # of recordings whose manifest names none
    drift: DriftConfig = DriftConfig()
    shard_tries: int = 3
    force: bool = False
    rescore: bool = False  # also what other model versions have published
    retry: RejectFilter | None = None  # these rejects are read, and nothing else
    batch_recordings: int = 50_000  # that are staged, audited and published at a time
    batch: int = 0  # how many times it has published so far

    def for_workers(self) -> "Run":
        """Return the run as each task carries it: without what workers never read, and what grows with the run."""
        return replace(self, corpus=None, dates=None, retry=None)

    @property
    def staging(self) -> str:
        return paths.folder(self.id)

    @property
    def validation(self) -> str:
        return f"validation/run={self.id}" + (f"/part={self.batch}" if self.batch else "")

    @property
    def classes(self) -> list[str]:
        return list(self.emotion.metadata["classes"])

    @property
    def dimensions(self) -> list[str]:
        """Arousal, valence, dominance: those that the emotion model tells, most none."""
        return list(self.emotion.metadata.get("dimensions", ()))

    @property
    def utterances(self) -> pa.Schema:
        """The columns of `utterances` as this run writes them."""
        return tables.utterances_schema(self.classes, self.dimensions)


def new_id(now: dt.datetime) -> str:
    """Sorts by time, and no two runs share one.

    >>> new_id(dt.datetime(2026, 11, 22, 3, 0, tzinfo=dt.UTC))[:16]
    '20261122T030000Z'
    """
    return f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
