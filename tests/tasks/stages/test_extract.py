"""Sliding embeddings of registered speaker models, and two real voices in one channel."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
import torch
from helpers.paths import SHARED_CORPORA, WEIGHTS

from data_contracts.records import ModelRef
from features.corpus.filesystem import stat_object
from features.corpus.shard_plan import write_plan
from features.decode.config import SAMPLE_RATE
from features.extraction.config import FeatureConfig
from features.extraction.shard import extract_shard
from features.extraction.utterances import Embedder
from features.segmentation.config import VadConfig
from features.segmentation.speaker_changes import ChangeConfig
from features.store import shard_files
from models import serving
from models.data.labelled_speech import read_speech
from models.data.labels_file import read_labels
from models.registry import loading
from models.registry.mlflow_registry import Registry
from models.serving import sliding_embedder, speaker_embedder
from models.speaker.model import SpeakerModel

SHIPPED = WEIGHTS / "speaker"
DAY = dt.date(2026, 11, 19)
WINDOWS_S, HOP_S = (2.0, 0.5), 0.25


@pytest.fixture(scope="module")
def ref(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    folder = tmp_path_factory.mktemp("registry")
    return Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts")).champion("speaker")


class _ForeignModel:
    """A foreign registered model: embeddings of utterances, none of frames."""

    def get_raw_model(self) -> object:
        raise NotImplementedError

    def predict(self, data: dict[str, np.ndarray]) -> np.ndarray:
        return np.stack([data["lengths"] / SAMPLE_RATE, data["waveform"].max(1)], axis=1)


def test_the_shipped_model_embeds_frames(ref):
    waveform, lengths = torch.randn(2, 5 * SAMPLE_RATE) * 0.1, torch.tensor([5 * SAMPLE_RATE, 3 * SAMPLE_RATE])
    told = sliding_embedder(ref)(waveform, lengths, WINDOWS_S, HOP_S)
    own = SpeakerModel.load(SHIPPED).sliding_embeddings(waveform, lengths, WINDOWS_S, HOP_S)
    for ours, theirs in zip(told, own, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.dtype == np.float32
            np.testing.assert_allclose(one, other.numpy(), atol=1e-4)


def test_a_model_without_frames_embeds_each_window(ref, monkeypatch):
    monkeypatch.setattr(serving, "_load_own", lambda *_: None)
    monkeypatch.setattr(loading, "load", lambda _: _ForeignModel())
    ((long, short),) = sliding_embedder(ref)(
        torch.ones(1, 3 * SAMPLE_RATE), torch.tensor([3 * SAMPLE_RATE]), WINDOWS_S, HOP_S
    )
    assert long.tolist() == [[2, 1]] * 5
    assert short.tolist() == [[0.5, 1]] * 11


@pytest.fixture
def turn() -> Callable[[str], np.ndarray]:
    """Make five seconds of a LibriSpeech voice that the encoder was not trained on."""
    if not SHARED_CORPORA.is_dir():
        pytest.skip("the real speech of ../shared/corpora is not on this machine")
    clips = {clip.speaker: clip for clip in read_labels([SHARED_CORPORA])}

    def said(speaker: str) -> np.ndarray:
        (item,) = read_speech([clips[speaker]], VadConfig(pad_s=0.0))
        waveform = item.waveform[: 5 * SAMPLE_RATE]
        return np.asarray(waveform * 0.05 / np.sqrt(np.mean(waveform**2)))

    return said


@pytest.mark.parametrize(
    ("speakers", "n_changes"), [(("libri-226", "libri-2002"), 1), (("libri-226", "libri-226"), 0)], ids=["two", "one"]
)
def test_two_real_voices_in_one_channel_are_told_apart(ref, turn, tmp_path, speakers, n_changes, lake):
    first, second = map(turn, speakers)
    path = tmp_path / "call.flac"
    soundfile.write(path, np.concatenate([first, np.zeros(SAMPLE_RATE // 10), second]), SAMPLE_RATE)
    members = [stat_object(str(path), DAY)]
    embedder = Embedder(speaker_embedder(ref), int(ref.metadata["dim"]), sliding_embedder(ref))
    segments = {}
    for enabled in (False, True):
        version = str(enabled)
        extract_shard(
            lake,
            write_plan(lake, "staging/plan", members, shard="0f"),
            version=version,
            config=FeatureConfig(changes=ChangeConfig(enabled=enabled)),
            embedders={"embeddings": embedder},
        )
        segments[enabled] = shard_files.read(lake, "segments", version, DAY, "0f").to_pylist()
    known = {row["start_s"] for row in segments[False]}
    assert known, "the call was read"
    assert all(abs(start - 5.05) > 0.5 for start in known)  # the pause between them is too short to part them
    cuts = [row["start_s"] for row in segments[True] if row["start_s"] not in known]
    assert cuts == pytest.approx([5.05] * n_changes, abs=0.5)
