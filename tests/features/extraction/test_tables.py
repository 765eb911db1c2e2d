"""Arrow tables of a shard: the columns, types and values that the schemas promise."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from data_contracts.records import AudioObject, Counts
from data_contracts.rejects import Reason, Reject
from data_contracts.schema import feature_sets
from features.dsp.gemaps import EGEMAPS_NAMES
from features.dsp.suprasegmentals import SUPRASEGMENTAL_NAMES
from features.extraction.tables import ShardTables, count_recordings, object_columns, quality_columns
from features.quality.measures import Measures
from features.segmentation.segments import Span
from features.segmentation.speech import ChannelSpeech, SpeechActivity

DIM = 4
ITEM = AudioObject("s3://corpus/a", "e", 10, dt.date(2026, 11, 21), dt.datetime(2026, 11, 21, tzinfo=dt.UTC), "{}", 1)
AUDIO = Measures(
    "flac", 8_000, 2, 1.0, -3.0, -20.0, 0.25, loudness_lufs=-21.5, bandwidth_hz=3400.0, tags_dropped=("artist",)
)
REJECT = Reject(Reason.TRUNCATED, "cut", "flac", 8_000, 2, 0.5)
SPANS = [Span(0.0, 0.25), Span(0.5, 1.0)]
POWERS = np.full(32, 1e-4, np.float32)
SPEECH = {0: ChannelSpeech(SpeechActivity(np.ones(32, np.float32), POWERS), SPANS)}


def _make_tables(*, frames: bool) -> ShardTables:
    tables = ShardTables({"embeddings": DIM}, logmel=frames, lld=frames)
    tables.recordings += [
        object_columns(ITEM) | {"recording_id": "ab"} | quality_columns(AUDIO, SPEECH),
        object_columns(ITEM) | {"recording_id": None} | quality_columns(REJECT, {}),
    ]
    for segment, span in enumerate(SPANS):
        tables.add("ab", 0, span, -20.0 - segment)
        tables.egemaps.append(np.arange(len(EGEMAPS_NAMES), dtype=np.float32) + segment)
        tables.suprasegmentals.append(np.full(len(SUPRASEGMENTAL_NAMES), 2.0, np.float32))
        tables.vectors["embeddings"].append(np.full(DIM, 0.5, np.float32))
        tables.logmels.append(np.full((3 + segment, 2), 1.0 + segment, np.float32))
        tables.llds.append(np.array([[0.25, 1.5], [2.0, segment]], np.float32))
        tables.voiced.append(np.array([True, segment == 0]))
    return tables


def _expected_schemas(*, frames: bool) -> dict:
    promised = {
        "recordings": feature_sets.RECORDING_FEATURES,
        "segments": feature_sets.SEGMENTS,
        "egemaps": feature_sets.egemaps_schema(EGEMAPS_NAMES),
        "suprasegmental": feature_sets.suprasegmental_schema(len(SUPRASEGMENTAL_NAMES)),
        "embeddings": feature_sets.embeddings_schema(DIM),
    }
    return promised | ({"logmel": feature_sets.LOGMEL, "lld": feature_sets.LLD} if frames else {})


@pytest.mark.parametrize("frames", [False, True])
def test_tables_have_the_columns_that_the_schemas_promise(frames):
    for tables in (ShardTables({"embeddings": DIM}, logmel=frames, lld=frames), _make_tables(frames=frames)):
        arrow = tables.arrow()
        assert {name: table.schema for name, table in arrow.items()} == _expected_schemas(frames=frames)
        for table in arrow.values():
            table.validate(full=True)


def test_values_are_in_the_rows_of_their_keys():
    arrow = _make_tables(frames=True).arrow()
    assert arrow["segments"].to_pylist()[1] == {
        "recording_id": "ab",
        "channel": 0,
        "segment": 1,
        "start_s": 0.5,
        "end_s": 1.0,
        "level_db": -21.0,
    }
    assert arrow["egemaps"][EGEMAPS_NAMES[3]].to_pylist() == [3.0, 4.0]
    assert arrow["embeddings"]["embedding"].to_pylist() == [[0.5] * DIM] * 2
    frames = arrow["logmel"].to_pylist()
    assert [(row["n_frames"], row["n_mels"], row["logmel"]) for row in frames] == [
        (3, 2, [1.0] * 6),
        (4, 2, [2.0] * 8),
    ]
    described = arrow["lld"].to_pylist()
    assert [(row["n_frames"], row["n_descriptors"], row["lld"], row["voiced"]) for row in described] == [
        (2, 2, [0.25, 1.5, 2.0, 0.0], [True, True]),
        (2, 2, [0.25, 1.5, 2.0, 1.0], [True, False]),
    ]


def test_a_usable_recording():
    row = quality_columns(AUDIO, SPEECH)
    assert (row["status"], row["reason"], row["error"]) == ("ok", None, None)
    assert (row["n_segments"], row["speech_s"], row["seconds"]) == (2, 0.75, 1.0)
    assert (row["peak_db"], row["level_db"], row["clipped_share"]) == (-3.0, -20.0, 0.25)
    assert (row["loudness_lufs"], row["bandwidth_hz"], row["speech_ratio"]) == (-21.5, 3400.0, 0.75)
    assert (row["tags_dropped"], row["channels"]) == (["artist"], [0])


def test_speech_in_several_channels_is_a_share_of_all_their_time():
    row = quality_columns(
        replace(AUDIO, channels=(0, 1)), SPEECH | {1: ChannelSpeech(SPEECH[0].activity, [Span(0.0, 0.25)])}
    )
    assert (row["n_segments"], row["speech_s"], row["speech_ratio"]) == (3, 1.0, 0.5)


def test_a_truncated_file_that_is_kept_has_its_error():
    row = quality_columns(replace(AUDIO, flaw="the header promises 20 bytes, found 10"), SPEECH)
    assert (row["status"], row["reason"], row["error"]) == ("ok", None, "the header promises 20 bytes, found 10")


def test_a_recording_without_speech_is_rejected():
    row = quality_columns(AUDIO, {0: ChannelSpeech(SpeechActivity(np.zeros(32, np.float32), POWERS), [])})
    assert (row["status"], row["reason"], row["n_segments"]) == ("rejected", "no_speech", 0)
    assert row["error"] == "no speech found in 1.0 s of sound"


def test_a_reject_keeps_the_known_columns():
    row = quality_columns(REJECT, {})
    assert (row["status"], row["reason"], row["error"]) == ("rejected", "truncated", "cut")
    assert (row["codec"], row["sample_rate_hz"], row["seconds"], row["speech_s"]) == ("flac", 8_000, 0.5, 0.0)


def test_an_attempt_counts_as_a_try():
    columns = object_columns(ITEM)
    assert columns.pop("read_at").tzinfo is dt.UTC
    assert columns == {
        "uri": "s3://corpus/a",
        "etag": "e",
        "bytes": 10,
        "modified": ITEM.modified,
        "attributes": "{}",
        "tries": 2,
    }


def test_read_at_never_goes_back_even_if_the_clock_does():
    """A machine whose clock was a year ahead once hid whatever was overwritten in the year to come."""
    ahead = dt.datetime.now(dt.UTC) + dt.timedelta(days=365)
    assert object_columns(replace(ITEM, read_after=ahead))["read_at"] == ahead + dt.timedelta(microseconds=1)
    behind = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    before = dt.datetime.now(dt.UTC)
    assert object_columns(replace(ITEM, read_after=behind))["read_at"] >= before


def test_counts_are_added_to_earlier_ones():
    counts = count_recordings(Counts(n_duplicates=1, vad_s=0.5), _make_tables(frames=False).recordings)
    assert counts == Counts(
        n_objects=2,
        n_bytes=20,
        n_ok=1,
        n_rejected=1,
        n_duplicates=1,
        n_segments=2,
        audio_s=1.0,
        speech_s=0.75,
        vad_s=0.5,
    )
