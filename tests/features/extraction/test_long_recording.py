"""Long recordings, split over tasks by time, are stored as if they had been read whole."""

import datetime as dt
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile as sf
from polars.testing import assert_frame_equal

from data_contracts.lake import Lake
from data_contracts.records import Counts, ShardRef
from features.corpus import shard_plan
from features.corpus.filesystem import stat_object
from features.decode.config import AudioConfig
from features.decode.recording import decode
from features.extraction.config import FeatureConfig
from features.extraction.long_recording import assemble, extract_range, survey
from features.extraction.shard import extract_shard
from features.extraction.utterances import Embedder
from features.resources import Resources
from features.store import shard_files

DAY = dt.date(2026, 11, 19)
AHEAD = dt.datetime.now(dt.UTC) + dt.timedelta(days=365)
TICK = dt.timedelta(microseconds=1)
LONG = Resources(long_s=60.0)
WHOLE = Resources(long_s=100_000.0)


def _mean(waveform, lengths):
    return np.array([[float((row[:n] ** 2).mean())] for row, n in zip(waveform, lengths, strict=True)])


EMBEDDERS = {"embeddings": Embedder(_mean, 1)}


def _call(sample: Path, seconds: float, rate_hz: int, **kind: str) -> bytes:
    """Two people, a channel each, who speak at the same times and not only."""
    clips = [decode(path.read_bytes()).waveform for path in sorted(sample.glob("2026/11/19/*.flac"))]
    voice = np.resize(np.concatenate([np.pad(clip, (0, 12_000)) for clip in clips]), round(seconds * 16_000))
    both = np.stack([voice, np.roll(voice, 90_000)], axis=1)
    sink = io.BytesIO()
    sf.write(sink, both[:: 16_000 // rate_hz], rate_hz, **({"format": "WAV", "subtype": "PCM_16"} | kind))
    return sink.getvalue()


def _plan(lake: Lake, path: Path, shard: str) -> ShardRef:
    modified = dt.datetime(2026, 11, 19, tzinfo=dt.UTC)
    item = replace(stat_object(str(path), DAY), modified=modified, read_after=AHEAD)
    return shard_plan.write_plan(lake, "staging/plan", [item], shard=shard)


def _split(lake: Lake, ref: ShardRef, config: FeatureConfig, resources: Resources = LONG) -> tuple[int, Counts]:
    counts = Counts()
    found = survey(lake, ref, "staging/long", config=config, resources=resources, counts=counts)
    for number in reversed(range(found.n_ranges)):  # in any order
        counts += extract_range(lake, found, number, config=config, embedders=EMBEDDERS, resources=resources)
    once, again = (
        assemble(lake, found, version="split", config=config, embedders=EMBEDDERS, replace=True) for _ in range(2)
    )  # a worker that dies with the answer is asked again
    assert (once.n_objects, once.n_segments) == (again.n_objects, again.n_segments)
    return found.n_ranges, counts + once


def _rows(lake: Lake, feature_set: str, version: str, shard: str) -> pl.DataFrame:
    frame = pl.DataFrame(shard_files.read(lake, feature_set, version, DAY, shard))
    return frame.drop("read_at") if feature_set == "recordings" else frame


@pytest.mark.parametrize(
    ("config", "rate_hz", "kind"),
    [
        (FeatureConfig(lld=True, logmel=True), 16_000, {}),
        (FeatureConfig(AudioConfig(channels="each")), 8_000, {"subtype": "ALAW"}),
        (FeatureConfig(AudioConfig(channels="each", level_lufs=-23.0)), 16_000, {"format": "OGG", "subtype": "OPUS"}),
    ],
    ids=["mix", "each", "levelled"],
)
def test_rows_are_the_same_as_of_the_recording_read_whole(lake, sample, tmp_path, config, rate_hz, kind):
    (tmp_path / "call").write_bytes(_call(sample, 150.0, rate_hz, **kind))
    ref = _plan(lake, tmp_path / "call", "0a")
    whole = extract_shard(lake, ref, version="whole", config=config, embedders=EMBEDDERS, resources=WHOLE)
    n_ranges, counts = _split(lake, ref, config)
    assert n_ranges == 3
    assert whole.counts.n_segments == counts.n_segments > 10
    for feature_set in lake.names("features"):
        left, right = (_rows(lake, feature_set, version, "0a") for version in ("whole", "split"))
        exactly = feature_set in {"segments"}
        assert_frame_equal(left, right, check_exact=exactly, rel_tol=1e-3, abs_tol=1e-3)
    for version in ("whole", "split"):  # after the read before, by a machine whose clock was ahead
        assert shard_files.read(lake, "recordings", version, DAY, "0a")["read_at"].to_pylist() == [AHEAD + TICK]


def test_a_shard_returns_its_long_members(lake, sample, tmp_path):
    (tmp_path / "long").write_bytes(_call(sample, 70.0, 16_000))
    paths = [*sorted(sample.glob("2026/11/19/*.flac"))[:2], tmp_path / "long"]
    members = [stat_object(str(path), DAY) for path in paths]
    ref = shard_plan.write_plan(lake, "staging/plan", members, shard="0b")
    done = extract_shard(lake, ref, version="v", config=FeatureConfig(), embedders=EMBEDDERS, resources=LONG)
    assert [item.uri for item in done.long] == [str(tmp_path / "long")]
    assert (done.counts.n_objects, done.counts.n_long) == (2, 1)
    assert len(_rows(lake, "recordings", "v", "0b")) == 2


@pytest.mark.parametrize("what", ["gone", "overwritten"])
def test_an_object_that_vanishes_after_the_survey_is_a_reject(lake, sample, tmp_path, what):
    (tmp_path / "call").write_bytes(_call(sample, 70.0, 16_000))
    ref, config = _plan(lake, tmp_path / "call", "0c"), FeatureConfig()
    found = survey(lake, ref, "staging/long", config=config, resources=LONG, counts=Counts())
    extract_range(lake, found, 0, config=config, embedders=EMBEDDERS, resources=LONG)
    if what == "gone":
        (tmp_path / "call").unlink()
    else:
        data = bytearray((tmp_path / "call").read_bytes())
        data[5_000] ^= 1
        (tmp_path / "call").write_bytes(data)
    extract_range(lake, found, 1, config=config, embedders=EMBEDDERS, resources=LONG)
    counts = assemble(lake, found, version="split", config=config, embedders=EMBEDDERS, replace=False)
    (row,) = _rows(lake, "recordings", "split", "0c").to_dicts()
    assert (row["status"], row["reason"]) == ("rejected", "vanished")
    assert (counts.n_rejected, counts.n_segments) == (1, 0)
    assert _rows(lake, "segments", "split", "0c").is_empty()


@pytest.mark.parametrize(("share", "config"), [(0.7, AudioConfig()), (0.4, AudioConfig(keep_truncated=True))])
def test_a_truncated_long_file_is_kept_as_if_it_were_read_whole(lake, sample, tmp_path, share, config):
    data = _call(sample, 150.0, 16_000, format="FLAC")
    (tmp_path / "call").write_bytes(data[: round(share * len(data))])
    ref, features = _plan(lake, tmp_path / "call", "0d"), FeatureConfig(config)
    whole = extract_shard(lake, ref, version="whole", config=features, embedders=EMBEDDERS, resources=WHOLE)
    n_ranges, counts = _split(lake, ref, features)
    assert n_ranges == {0.7: 2, 0.4: 1}[share]
    assert whole.counts.n_truncated == counts.n_truncated == 1
    left, right = (_rows(lake, "recordings", version, "0d") for version in ("whole", "split"))
    assert_frame_equal(left, right)
    assert_frame_equal(*(_rows(lake, "segments", version, "0d") for version in ("whole", "split")))
    (row,) = right.to_dicts()
    assert (row["status"], row["reason"]) == ("ok", None)
    assert "FLAC frame is incomplete" in row["error"]
    assert row["seconds"] + row["truncated_s"] == pytest.approx(150.0)


@pytest.mark.parametrize(("share", "config"), [(0.4, AudioConfig()), (0.99, AudioConfig(truncated_share=1.0))])
def test_a_long_file_that_lacks_too_much_is_a_reject(lake, sample, tmp_path, share, config):
    data = _call(sample, 150.0, 16_000, format="FLAC")
    (tmp_path / "call").write_bytes(data[: round(share * len(data))])
    n_ranges, counts = _split(lake, _plan(lake, tmp_path / "call", "0e"), FeatureConfig(config))
    assert (n_ranges, counts.n_rejected, counts.n_truncated) == (0, 1, 0)
    (row,) = _rows(lake, "recordings", "split", "0e").to_dicts()
    assert row["reason"] == "truncated"
