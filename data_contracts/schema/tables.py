"""Columns of the tables, with their keys and the order in which they are published.

Times are seconds from the start of the recording; levels are dB relative to full scale (dBFS).
"""

from collections.abc import Sequence

import pyarrow as pa

from data_contracts.schema.feature_sets import KEY_FIELDS, OBJECT_FIELDS, QUALITY_FIELDS

SCHEMA_VERSION = "1"

UTTERANCE_KEY = ("recording_id", "channel", "segment")

_VERSIONS = [
    pa.field("emotion_model", pa.string(), nullable=False),
    pa.field("speaker_model", pa.string(), nullable=False),
    pa.field("feature_version", pa.string(), nullable=False),
    pa.field("run_id", pa.string(), nullable=False),
]

_EMOTION_PRIOR = pa.field("emotion_prior", pa.string())  # null of other people's models, and before there was one

_DATE = pa.field("date", pa.date32(), nullable=False)

PLAN = pa.schema([*OBJECT_FIELDS, pa.field("read_after", pa.timestamp("us", tz="UTC"))])

_SOURCE = pa.field("source", pa.string(), nullable=False)  # of which part of the corpus; see `features.corpus.sources`
UNKNOWN_SOURCE = "unknown"
"""Source of utterances that no recording is listed for."""
UNKNOWN_KIND = "unknown"
"""Kind of speaker of utterances without one."""

RECORDINGS = pa.schema(
    [
        *OBJECT_FIELDS,
        *QUALITY_FIELDS,
        _DATE,
        _SOURCE.with_nullable(True),  # null of what was published before there were sources
        *_VERSIONS,
        _EMOTION_PRIOR,
    ]
)


def utterances_schema(classes: Sequence[str], dimensions: Sequence[str] = ()) -> pa.Schema:
    """Return the schema of `utterances`: a `score_…` column for each emotion class, and one for each dimension.

    Dimensions (arousal, valence, dominance) are on the model's own scale.
    """
    return pa.schema(
        [
            *KEY_FIELDS,
            pa.field("start_s", pa.float64(), nullable=False),
            pa.field("end_s", pa.float64(), nullable=False),
            pa.field("channel_name", pa.string()),  # agent, customer: where channels are told apart and have names
            pa.field("emotion", pa.string()),
            pa.field("emotion_reason", pa.string()),  # why there is none
            *(pa.field(f"score_{name}", pa.float64()) for name in classes),
            *(pa.field(name, pa.float64()) for name in dimensions),
            pa.field("speaker_id", pa.string()),
            pa.field("speaker_reason", pa.string()),  # why there is none
            pa.field("speaker_score", pa.float64()),
            pa.field("speaker_known", pa.bool_(), nullable=False),
            *_VERSIONS,
            _EMOTION_PRIOR,
            _DATE,
        ]
    )


FORGOTTEN_ID = "forgotten"
"""speaker_id of utterances after their speaker was forgotten."""

SPEAKERS = pa.schema(
    [
        pa.field("speaker_id", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # enrolled: known by name | found: a pseudonym | merged
        pa.field("first_seen", pa.date32()),
        pa.field("last_seen", pa.date32()),
        pa.field("n_utterances", pa.int64(), nullable=False),
        pa.field("speech_s", pa.float64(), nullable=False),
        pa.field("centroid", pa.list_(pa.float32()), nullable=False),
        pa.field("centroid_s", pa.float64()),  # null of what was published before it was kept
        pa.field("extractor", pa.string(), nullable=False),  # the encoder in whose space the centroid lies
        pa.field("sources", pa.list_(pa.string()), nullable=False),  # the recordings of an enrollment
        pa.field("merged_into", pa.string()),  # of a merged voice: the speaker_id it belongs to
        pa.field("run_id", pa.string(), nullable=False),
    ]
)

REJECTS = pa.schema(
    [
        pa.field("uri", pa.string(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
        _DATE,
        pa.field("reason", pa.string(), nullable=False),
        pa.field("error", pa.string()),
        pa.field("tries", pa.int16(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
    ]
)

_TOTALS = [pa.field("n_utterances", pa.int64(), nullable=False), pa.field("speech_s", pa.float64(), nullable=False)]
_EMOTION = pa.field("emotion", pa.string(), nullable=False)
EMOTION_DAILY = pa.schema(
    [
        _DATE,
        _SOURCE,
        pa.field("speaker_kind", pa.string(), nullable=False),  # enrolled | found | forgotten | unknown
        _EMOTION,
        *_TOTALS,
        pa.field("mean_score", pa.float64()),
        pa.field("score_low", pa.float64()),  # 95 % interval of the mean, recordings as clusters; null of one recording
        pa.field("score_high", pa.float64()),
    ]
)
SPEAKER_DAILY = pa.schema([_DATE, pa.field("speaker_id", pa.string(), nullable=False), _EMOTION, *_TOTALS])

QUALITY_MEASURES = ("loudness_lufs", "snr_db", "bandwidth_hz")
QUALITY_DAILY = pa.schema(
    [
        _DATE,
        _SOURCE,
        *(pa.field(name, pa.int64(), nullable=False) for name in ("n_recordings", "n_ok", "n_rejected")),
        pa.field("seconds", pa.float64(), nullable=False),  # of usable recordings, as is what follows
        pa.field("speech_s", pa.float64(), nullable=False),
        pa.field("n_utterances", pa.int64(), nullable=False),
        pa.field("n_abstained", pa.int64(), nullable=False),  # utterances with too little voice to tell an emotion
        *(
            pa.field(f"{name}{which}", pa.float64())
            for name in QUALITY_MEASURES
            for which in ("_p10", "", "_p90")  # the median between the percentiles
        ),
        pa.field("clipped_share", pa.float64()),  # mean
        pa.field("n_truncated", pa.int64()),  # null of what was published before it was counted
        pa.field("truncated_s", pa.float64()),
    ]
)
REJECTS_DAILY = pa.schema(
    [
        _DATE,
        _SOURCE,
        pa.field("reason", pa.string(), nullable=False),
        pa.field("n", pa.int64(), nullable=False),
    ]
)
FEATURE_DAILY = pa.schema(
    [
        _DATE,
        pa.field("feature", pa.string(), nullable=False),  # an eGeMAPS functional, or EMBEDDING
        pa.field("feature_version", pa.string(), nullable=False),  # others are not compared
        pa.field("n_recordings", pa.int64(), nullable=False),
        pa.field("n_utterances", pa.int64(), nullable=False),
        pa.field("buckets", pa.list_(pa.int16())),  # those of `models.drift.histogram` that hold any, in rising order
        pa.field("counts", pa.list_(pa.int64())),
        pa.field("total", pa.list_(pa.float64())),  # the sum of the embeddings
    ]
)
EMBEDDING = "embedding"
"""Name of the speaker embeddings among the features of `feature_daily` and the measures of `drift`."""

DRIFT = pa.schema(
    [
        _DATE,
        pa.field("measure", pa.string(), nullable=False),  # class_mix | abstained | rejected | EMBEDDING | a feature
        pa.field("method", pa.string(), nullable=False),  # psi | share | cosine
        pa.field("value", pa.float64()),  # from 0; null where there is too little to compare, or to compare with
        pa.field("threshold", pa.float64()),
        pa.field("over", pa.bool_()),
        pa.field("n", pa.int64(), nullable=False),  # utterances (of `rejected`, recordings) of the date
        pa.field("n_reference", pa.int64(), nullable=False),  # and of the days before
    ]
)

STAGES = ("discover", "plan", "extract", "identify", "score", "integrate", "audit", "publish")
RUNS = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("flow", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("window_from", pa.date32()),
        pa.field("window_to", pa.date32()),
        pa.field("started", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("finished", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("code_version", pa.string(), nullable=False),
        *_VERSIONS[:3],
        pa.field("n_listed", pa.int64(), nullable=False),
        pa.field("n_known", pa.int64(), nullable=False),
        pa.field("n_read", pa.int64(), nullable=False),
        pa.field("n_ok", pa.int64(), nullable=False),
        pa.field("n_rejected", pa.int64(), nullable=False),
        pa.field("bytes_read", pa.int64()),  # of audio; 0 where stored features were scored
        pa.field("n_scored", pa.int64()),  # utterances that the emotion model was asked about
        pa.field("n_published_recordings", pa.int64(), nullable=False),
        pa.field("n_published_utterances", pa.int64(), nullable=False),
        pa.field("n_new_speakers", pa.int64(), nullable=False),
        pa.field("audio_hours", pa.float64(), nullable=False),
        pa.field("rtfx", pa.float64()),
        *(pa.field(f"{stage}_s", pa.float64()) for stage in STAGES),
        pa.field("verdict", pa.string(), nullable=False),  # passed | warned | nothing_to_check
        pa.field("validation", pa.string()),  # where the Data Docs are
        pa.field("versions", pa.string()),  # JSON: the Delta version of each table that this run left
        _EMOTION_PRIOR,
    ]
)

TABLE_KEYS: dict[str, tuple[str, ...]] = {
    "utterances": UTTERANCE_KEY,
    "speakers": ("speaker_id",),
    "emotion_daily": ("date", "source", "speaker_kind", "emotion"),
    "speaker_daily": ("date", "speaker_id", "emotion"),
    "quality_daily": ("date", "source"),
    "rejects_daily": ("date", "source", "reason"),
    "feature_daily": ("date", "feature"),
    "drift": ("date", "measure"),
    "rejects": ("uri", "etag"),
    "recordings": ("uri",),
    "runs": ("run_id",),
}
"""The analytics tables with their keys, in the order they are published.

A row of `recordings` counts as published, so it follows the rows that it vouches for; `runs`, the ledger, comes last.
"""

DAILY_TABLES = ("emotion_daily", "speaker_daily", "quality_daily", "rejects_daily", "feature_daily", "drift")
"""Tables that are replaced whole, a date at a time."""

PARTITIONED_TABLES = ("utterances", "recordings", "feature_daily")
"""Tables partitioned by date: a publication or a query opens only the files of its dates."""

STAGED_TABLES = tuple(table for table in TABLE_KEYS if table != "runs")
"""Tables that a run stages and publishes before its own row."""
