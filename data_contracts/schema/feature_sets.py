"""Columns of the feature sets, which the tables of recordings and utterances share.

Feature sets are plain Parquet in hive folders, so `version` and `date` stand in the path and not in the file.
Times are seconds from the start of the recording; levels are dB relative to full scale (dBFS).
"""

from collections.abc import Sequence

import pyarrow as pa

KEY_FIELDS = [
    pa.field("recording_id", pa.string(), nullable=False),
    pa.field("channel", pa.int16(), nullable=False),
    pa.field("segment", pa.int32(), nullable=False),
]

OBJECT_FIELDS = [
    pa.field("uri", pa.string(), nullable=False),
    pa.field("etag", pa.string(), nullable=False),
    pa.field("bytes", pa.int64(), nullable=False),
    pa.field("modified", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("attributes", pa.string()),
    pa.field("tries", pa.int16(), nullable=False),
]

QUALITY_FIELDS = [
    pa.field("read_at", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("recording_id", pa.string()),
    pa.field("codec", pa.string()),
    pa.field("sample_rate_hz", pa.int32()),
    pa.field("n_channels", pa.int32()),
    pa.field("seconds", pa.float64()),
    pa.field("speech_s", pa.float64()),
    pa.field("n_segments", pa.int32()),
    pa.field("peak_db", pa.float32()),
    pa.field("level_db", pa.float32()),
    pa.field("clipped_share", pa.float32()),
    pa.field("bit_rate_bps", pa.int32()),
    pa.field("channels", pa.list_(pa.int16())),  # that were analysed
    pa.field("speech_ratio", pa.float32()),  # of the time of all analysed channels
    pa.field("loudness_lufs", pa.float32()),  # ITU-R BS.1770, integrated
    pa.field("snr_db", pa.float32()),
    pa.field("bandwidth_hz", pa.float32()),  # up to which there is content
    pa.field("tags_dropped", pa.list_(pa.string())),  # names of the tags; their values are kept nowhere
    pa.field("truncated_s", pa.float64()),  # promised by the file and missing
    pa.field("status", pa.string(), nullable=False),
    pa.field("reason", pa.string()),
    pa.field("error", pa.string()),
]

RECORDING_FEATURES = pa.schema([*OBJECT_FIELDS, *QUALITY_FIELDS])
SEGMENTS = pa.schema(
    [
        *KEY_FIELDS,
        pa.field("start_s", pa.float64(), nullable=False),
        pa.field("end_s", pa.float64(), nullable=False),
        pa.field("level_db", pa.float32(), nullable=False),
    ]
)


def egemaps_schema(names: Sequence[str]) -> pa.Schema:
    """One float32 column a functional, by its eGeMAPS name."""
    return pa.schema([*KEY_FIELDS, *(pa.field(name, pa.float32(), nullable=False) for name in names)])


def suprasegmental_schema(n: int) -> pa.Schema:
    """The statistics in the order of `undertone.SUPRASEGMENTAL_NAMES`."""
    return pa.schema([*KEY_FIELDS, pa.field("suprasegmental", pa.list_(pa.float32(), n), nullable=False)])


def embeddings_schema(dim: int, feature_set: str = "embeddings") -> pa.Schema:
    """The speaker embedding, L2-normalised; of another feature set what a pulled model's head reads, of any size."""
    kind = pa.float16() if feature_set == "embeddings" else pa.float32()
    return pa.schema([*KEY_FIELDS, pa.field("embedding", pa.list_(kind, dim), nullable=False)])


LOGMEL = pa.schema(
    [
        *KEY_FIELDS,
        pa.field("n_frames", pa.int32(), nullable=False),
        pa.field("n_mels", pa.int16(), nullable=False),
        pa.field("logmel", pa.list_(pa.float16()), nullable=False),  # frame by frame
    ]
)

LLD = pa.schema(
    [
        *KEY_FIELDS,
        pa.field("n_frames", pa.int32(), nullable=False),
        pa.field("n_descriptors", pa.int16(), nullable=False),
        pa.field("lld", pa.list_(pa.float32()), nullable=False),  # frame by frame
        pa.field("voiced", pa.list_(pa.bool_()), nullable=False),  # one a frame
    ]
)

FEATURE_SETS = (
    *("recordings", "segments", "egemaps", "suprasegmental", "embeddings", "emotion_embeddings"),
    *("logmel", "lld"),
)
