"""A shard's features, collected row by row and turned into one Arrow table a feature set."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pyarrow as pa

from data_contracts.records import AudioObject, Counts
from data_contracts.rejects import Reason, Reject
from data_contracts.schema import feature_sets
from features.dsp.gemaps import EGEMAPS_NAMES
from features.dsp.suprasegmentals import SUPRASEGMENTAL_NAMES
from features.quality.measures import Measures
from features.quality.snr import snr_db
from features.segmentation.segments import Span
from features.segmentation.speech import ChannelSpeech, speech_mask

_TICK = dt.timedelta(microseconds=1)  # the resolution of Parquet's timestamps


@dataclass
class ShardTables:
    """Rows of a shard's recordings and utterances; memory grows with the features, never with the audio."""

    dims: Mapping[str, int]  # of the vectors, by feature set
    logmel: bool = False
    lld: bool = False
    recordings: list[dict[str, Any]] = field(default_factory=list)
    keys: list[tuple[str, int, int]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    levels_db: list[float] = field(default_factory=list)
    egemaps: list[np.ndarray] = field(default_factory=list)  # (len(EGEMAPS_NAMES),)
    suprasegmentals: list[np.ndarray] = field(default_factory=list)  # (len(SUPRASEGMENTAL_NAMES),)
    vectors: dict[str, list[np.ndarray]] = field(default_factory=dict)  # (dim,) by feature set
    logmels: list[np.ndarray] = field(default_factory=list)  # (frames, n_mels)
    llds: list[np.ndarray] = field(default_factory=list)  # (frames, len(LLD_NAMES))
    voiced: list[np.ndarray] = field(default_factory=list)  # (frames,) bool

    def __post_init__(self) -> None:
        self.vectors = {name: [] for name in self.dims}
        self._n_segments: Counter[tuple[str, int]] = Counter()

    def add(self, recording_id: str, channel: int, span: Span, level_db: float) -> None:
        """Add an utterance, in the order of time of its channel; append its features next."""
        self.keys.append((recording_id, channel, self._n_segments[recording_id, channel]))
        self._n_segments[recording_id, channel] += 1
        self.spans.append(span)
        self.levels_db.append(level_db)

    def arrow(self) -> dict[str, pa.Table]:
        """Return the tables by feature set, in the columns of `data_contracts.schema.feature_sets`."""
        n = len(self.keys)
        keys = [[key[i] for key in self.keys] for i in range(3)]
        values = np.stack(self.egemaps) if n else np.empty((0, len(EGEMAPS_NAMES)), np.float32)
        wide = np.stack(self.suprasegmentals) if n else np.empty((0, len(SUPRASEGMENTAL_NAMES)), np.float32)
        starts, ends = [span.start_s for span in self.spans], [span.end_s for span in self.spans]
        tables = {
            "segments": _table([*keys, starts, ends, self.levels_db], feature_sets.SEGMENTS),
            "egemaps": _table([*keys, *values.T], feature_sets.egemaps_schema(EGEMAPS_NAMES)),
            "suprasegmental": _table(
                [*keys, pa.FixedSizeListArray.from_arrays(pa.array(wide.ravel()), wide.shape[1])],
                feature_sets.suprasegmental_schema(wide.shape[1]),
            ),
            **{
                name: _vector_table(keys, self.vectors[name], feature_sets.embeddings_schema(dim, name))
                for name, dim in self.dims.items()
            },
            "recordings": pa.Table.from_pylist(self.recordings, schema=feature_sets.RECORDING_FEATURES),
        }
        if self.logmel:
            tables["logmel"] = _table([*keys, *_frame_columns(self.logmels, np.float16)], feature_sets.LOGMEL)
        if self.lld:
            tables["lld"] = _table([*keys, *_frame_columns(self.llds, np.float32), self.voiced], feature_sets.LLD)
        return tables


def count_recordings(counts: Counts, recordings: Sequence[Mapping[str, Any]]) -> Counts:
    """Add the rows of `recordings` to `counts`: read, usable, rejected, seconds; a copy's utterances count once."""
    usable = [row for row in recordings if row["status"] == "ok"]
    once = {row["recording_id"]: row for row in usable}.values()
    counts.n_objects += len(recordings)
    counts.n_bytes += sum(row["bytes"] for row in recordings)
    counts.n_ok += len(usable)
    counts.n_rejected += len(recordings) - len(usable)
    counts.n_truncated += sum((row.get("truncated_s") or 0) > 0 for row in usable)
    counts.n_segments += sum(row["n_segments"] for row in once)
    counts.audio_s += sum(row["seconds"] for row in usable)
    counts.speech_s += sum(row["speech_s"] for row in usable)
    return counts


def object_columns(item: AudioObject) -> dict[str, Any]:
    """Return the columns that the listing knows; this attempt counts as a try.

    `read_at` is a logical clock: for a URI it never goes back, even if the clock of the machine that reads it does.
    """
    now = dt.datetime.now(dt.UTC)
    return {
        "uri": item.uri,
        "etag": item.etag,
        "bytes": item.bytes,
        "modified": item.modified,
        "attributes": item.attributes,
        "tries": item.tries + 1,
        "read_at": now if item.read_after is None else max(now, item.read_after + _TICK),
    }


def quality_columns(found: Measures | Reject, speech: Mapping[int, ChannelSpeech]) -> dict[str, Any]:
    """Return the columns of a recording's measures and of its speech by channel; one without speech is rejected too."""
    if isinstance(found, Reject):
        return {
            "codec": found.codec,
            "sample_rate_hz": found.sample_rate_hz,
            "n_channels": found.n_channels,
            "seconds": found.seconds,
            "speech_s": 0.0,
            "n_segments": 0,
            "status": "rejected",
            "reason": str(found.reason),
            "error": found.error,
        }
    spans = [span for channel in speech.values() for span in channel.spans]
    speech_s = sum(span.end_s - span.start_s for span in spans)
    columns = {
        f.name: getattr(found, f.name) for f in fields(found) if f.name not in {"channels", "gains_db", "mixed", "flaw"}
    }
    return columns | {
        "tags_dropped": list(found.tags_dropped),
        "channels": list(found.channels),
        "speech_s": speech_s,
        "speech_ratio": min(1.0, speech_s / (found.seconds * len(found.channels))),
        "snr_db": _snr_db(speech),
        "n_segments": len(spans),
        "status": "ok" if spans else "rejected",
        "reason": None if spans else str(Reason.NO_SPEECH),
        "error": found.flaw if spans else f"no speech found in {found.seconds:.1f} s of sound",
    }


def _snr_db(speech: Mapping[int, ChannelSpeech]) -> float | None:
    """Return the signal-to-noise ratio of all channels together, None where it is unknown."""
    powers = [channel.activity.powers for channel in speech.values()]
    masks = [speech_mask(channel.spans, len(channel.activity.powers)) for channel in speech.values()]
    return snr_db(np.concatenate(powers), np.concatenate(masks)) if powers else None


def _vector_table(keys: list[Any], vectors: list[np.ndarray], schema: pa.Schema) -> pa.Table:
    kind = schema.field("embedding").type
    flat = np.concatenate([np.zeros(0), *vectors]).astype(kind.value_type.to_pandas_dtype())
    return _table([*keys, pa.FixedSizeListArray.from_arrays(pa.array(flat), kind.list_size)], schema)


def _frame_columns(items: list[np.ndarray], dtype: type[np.floating]) -> list[list[Any]]:
    """Return three columns of (frames, width) arrays: number of frames, width, and the values frame by frame."""
    values = [np.ascontiguousarray(item, dtype).ravel() for item in items]
    return [[len(item) for item in items], [item.shape[1] for item in items], values]


def _table(columns: list[Any], schema: pa.Schema) -> pa.Table:
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
