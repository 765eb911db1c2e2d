"""Records that stages hand to each other: objects, shards, model references, counts."""

import datetime as dt
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

SHARD_BYTES = 256_000_000
"""Default maximum of audio bytes in a shard."""


@dataclass(frozen=True)
class AudioObject:
    """One object of the corpus as it was listed. `tries` counts earlier attempts at reading it.

    `read_after` is the time of the last read of its URI, whatever its content was; None before the first. The next
    `read_at` is later than that, even where clocks disagree.
    """

    uri: str
    etag: str
    bytes: int
    date: dt.date
    modified: dt.datetime  # UTC
    attributes: str | None = None  # a manifest's further columns, as JSON
    tries: int = 0
    read_after: dt.datetime | None = None  # UTC


@dataclass(frozen=True, slots=True)
class ShardRef:
    """Reference to a shard's plan; the scheduler carries references, never the members.

    Small, because a driver holds all references of a run, a hundred thousand and more; they share one `folder` string.
    """

    id: str
    date: dt.date
    folder: str  # of the run's plans, below the lake's root
    n_objects: int
    n_bytes: int

    @property
    def plan(self) -> str:
        """Path of the Parquet file that lists the members."""
        return f"{self.folder}/date={self.date.isoformat()}/{self.id}.parquet"


@dataclass(frozen=True)
class ModelRef:
    """One registered version of a model, with all that a worker needs to load it."""

    name: str
    version: str
    uri: str  # the artifact's folder
    digest: str  # of the artifact's weights and configuration
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Label in published rows, `emotion/3+9f86d081`, unique even between registries."""
        return f"{self.name}/{self.version}+{self.digest[:8]}"


@dataclass
class Counts:
    """Counts and times of extraction; counts of shards add up to those of a run."""

    n_objects: int = 0
    n_bytes: int = 0
    n_ok: int = 0
    n_rejected: int = 0
    n_truncated: int = 0  # of n_ok: it lacks a part
    n_duplicates: int = 0  # of n_ok: another name for a recording of the same shard
    n_long: int = 0  # of n_objects: described by several tasks
    n_segments: int = 0
    audio_s: float = 0.0
    speech_s: float = 0.0
    read_s: float = 0.0
    vad_s: float = 0.0
    egemaps_s: float = 0.0
    embed_s: float = 0.0
    write_s: float = 0.0

    def __add__(self, other: Self) -> Self:
        return type(self)(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def as_dict(self) -> dict[str, float]:
        return asdict(self)
