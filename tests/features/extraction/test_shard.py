"""Extraction of a shard of the sample corpus, from its audio to its feature files."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import pytest
import soundfile
import torch

from data_contracts.fingerprint import digest
from data_contracts.lake import Lake
from data_contracts.records import Counts
from data_contracts.schema import feature_sets
from features.corpus.filesystem import stat_object
from features.corpus.shard_plan import write_plan
from features.decode.config import SAMPLE_RATE
from features.decode.recording import Decoded, decode
from features.dsp.gemaps import EGEMAPS_NAMES, LLD_NAMES, egemaps_lld
from features.extraction.config import FeatureConfig
from features.extraction.shard import extract_shard
from features.extraction.utterances import Embedder
from features.store import shard_files

DAY = dt.date(2026, 11, 19)
SHARD = "0f"


def _extract(lake: Lake, sample: Path, config: FeatureConfig, **more: Embedder) -> Counts:
    files = sorted(sample.glob("2026/11/19/*.flac"))[:3]
    members = [stat_object(str(path), DAY) for path in files]
    done = extract_shard(
        lake,
        write_plan(lake, "staging/plan", members, shard=SHARD),
        version="v1",
        config=config,
        embedders={"embeddings": Embedder(lambda waveform, _: np.ones((len(waveform), 1), np.float32), 1), **more},
    )
    assert not done.long
    return done.counts


def test_a_shard_holds_the_88_by_name_and_no_frames_by_default(lake, sample):
    counts = _extract(lake, sample, FeatureConfig())
    rows = shard_files.read(lake, "egemaps", "v1", DAY, SHARD)
    assert tuple(rows.column_names[3:]) == EGEMAPS_NAMES
    assert len(EGEMAPS_NAMES) == 88
    assert rows.num_rows == counts.n_segments > 0
    assert counts.egemaps_s > 0
    assert lake.names("features") == ["egemaps", "embeddings", "recordings", "segments", "suprasegmental"]


def test_descriptors_by_frame_are_stored_on_request(lake, sample):
    """An utterance's row is what `egemaps_lld` says of it alone, however it was batched."""
    counts = _extract(lake, sample, FeatureConfig(lld=True))
    rows = shard_files.read(lake, "lld", "v1", DAY, SHARD).to_pylist()
    spans = shard_files.read(lake, "segments", "v1", DAY, SHARD).to_pylist()
    assert len(rows) == counts.n_segments
    assert [row["segment"] for row in rows] == [span["segment"] for span in spans]
    audio = {digest(path.read_bytes(), 32): decode(path.read_bytes()) for path in sample.glob("2026/11/19/*.flac")}
    for row, span in zip(rows, spans, strict=True):
        decoded = audio[row["recording_id"]]
        assert isinstance(decoded, Decoded)
        piece = decoded.waveform[round(span["start_s"] * SAMPLE_RATE) : round(span["end_s"] * SAMPLE_RATE)]
        alone = egemaps_lld(torch.from_numpy(piece)[None], torch.tensor([len(piece)]))
        stored = np.array(row["lld"], np.float32).reshape(row["n_frames"], row["n_descriptors"])
        assert row["n_descriptors"] == len(LLD_NAMES)
        assert row["n_frames"] == int(alone.n_frames) == len(row["voiced"])
        np.testing.assert_allclose(stored, alone.values[0].numpy(), rtol=1e-3, atol=1e-3)
        assert row["voiced"] == alone.voiced[0].tolist()
    assert any(any(row["voiced"]) for row in rows)


def test_duckdb_reads_names_and_frames(lake, sample):
    _extract(lake, sample, FeatureConfig(lld=True))
    files = lake.uri_of("features", "{}", "**", "*.parquet")
    loudness = f"SELECT avg(\"F0semitoneFrom27.5Hz_sma3nz_amean\") FROM read_parquet('{files.format('egemaps')}')"
    assert 5 < duckdb.sql(loudness).fetchall()[0][0] < 60  # semitones above 27.5 Hz
    frames = f"SELECT min(len(lld) = n_frames * n_descriptors) FROM read_parquet('{files.format('lld')}')"
    assert duckdb.sql(frames).fetchall() == [(True,)]


def test_frames_make_another_feature_version():
    plain = FeatureConfig().version("encoder")
    assert len({plain, FeatureConfig(lld=True).version("encoder"), FeatureConfig(logmel=True).version("encoder")}) == 3


def test_another_embedder_has_its_own_feature_set(lake, sample):
    """Rows stand beside their keys though batches are sorted by length; values are not squeezed into half precision."""

    def seconds(waveform: torch.Tensor, lengths: torch.Tensor) -> np.ndarray:
        return np.stack([lengths.numpy() / SAMPLE_RATE, np.full(len(lengths), 1e6)], axis=1)

    _extract(lake, sample, FeatureConfig(), emotion_embeddings=Embedder(seconds, 2))
    rows = shard_files.read(lake, "emotion_embeddings", "v1", DAY, SHARD)
    assert rows.schema == feature_sets.embeddings_schema(2, "emotion_embeddings")
    spans = shard_files.read(lake, "segments", "v1", DAY, SHARD).to_pylist()
    assert [row["embedding"][0] for row in rows.to_pylist()] == pytest.approx(
        [span["end_s"] - span["start_s"] for span in spans], abs=1e-3
    )
    assert {row["embedding"][1] for row in rows.to_pylist()} == {1e6}


def test_another_extractor_makes_another_feature_version():
    config = FeatureConfig()
    assert len({config.version("encoder"), config.version("encoder", "mood"), config.version("encoder", "other")}) == 3


def test_a_segment_is_split_at_a_speaker_change_into_rows(lake, sample, tmp_path):
    """The encoder hears another voice after 5 s of the segment; without anybody to hear, it stays whole."""
    clip = decode((sample / "2026/11/19/call-0001-voice-a.flac").read_bytes())
    assert isinstance(clip, Decoded)
    speech = clip.waveform[: 3 * SAMPLE_RATE]
    two = tmp_path / "two.flac"
    soundfile.write(two, np.tile(speech, 4), SAMPLE_RATE)

    def embed_sliding(waveform: torch.Tensor, lengths: torch.Tensor, windows_s: Sequence[float], hop_s: float):
        found = []
        for length in lengths.tolist():
            middles = [
                np.arange(int((length / SAMPLE_RATE - window_s) / hop_s) + 1) * hop_s + window_s / 2
                for window_s in windows_s
            ]
            found.append([np.stack([own < 5, own >= 5], axis=1).astype(np.float32) for own in middles])
        return found

    def seconds(_: torch.Tensor, lengths: torch.Tensor) -> np.ndarray:
        return lengths.numpy()[:, None] / SAMPLE_RATE

    found = {}
    for version, embedder in (("without", None), ("with", embed_sliding)):
        members = [stat_object(str(two), DAY)]
        shard = write_plan(lake, "staging/plan", members, shard=SHARD)
        embedders = {"embeddings": Embedder(seconds, 1, embedder)}
        extract_shard(lake, shard, version=version, config=FeatureConfig(), embedders=embedders)
        spans = shard_files.read(lake, "segments", version, DAY, SHARD).to_pylist()
        vectors = shard_files.read(lake, "embeddings", version, DAY, SHARD).to_pylist()
        assert [span["segment"] for span in spans] == list(range(len(spans)))
        for span, row in zip(spans, vectors, strict=True):
            assert row["embedding"][0] == pytest.approx(span["end_s"] - span["start_s"], abs=0.01)
        found[version] = spans
    (whole,) = found["without"]
    first, second = found["with"]
    assert first["end_s"] == second["start_s"] == pytest.approx(whole["start_s"] + 5, abs=0.4)
    assert (first["start_s"], second["end_s"]) == (whole["start_s"], whole["end_s"])
