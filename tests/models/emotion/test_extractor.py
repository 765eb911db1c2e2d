"""Extractor of emotion embeddings on a tiny network, and the shipped one's place among the features."""

import numpy as np
import pytest
import torch
from helpers.paths import WEIGHTS

from data_contracts.errors import ModelError
from models.emotion.extractor import (
    EmotionExtractor,
    ExtractorConfig,
    FrameNetwork,
    cut_middle,
    pair_frames,
    shipped_extractor,
)
from models.registry.compatibility import computed_fingerprints, shipped_extractor_config

TINY = ExtractorConfig(width=12, heads=3, hidden=16, longest_s=1.0)


@pytest.fixture
def extractor() -> EmotionExtractor:
    torch.manual_seed(0)
    return EmotionExtractor(FrameNetwork(TINY), mean=torch.randn(24), projection=torch.randn(24, 5))


def test_shape_and_padding(extractor) -> None:
    waveform, lengths = 0.1 * torch.randn(5, 20_000), torch.tensor([20_000, 7_001, 7_240, 400, 100])
    vectors = extractor.embed(waveform, lengths)
    assert vectors.shape == (5, 5)
    for row, length in enumerate(lengths.tolist()):
        alone = extractor.embed(waveform[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(alone[0], vectors[row], atol=1e-5, rtol=1e-5)


def test_level_does_not_matter_and_silence_is_finite(extractor) -> None:
    waveform, lengths = 0.1 * torch.randn(1, 9_000), torch.tensor([9_000])
    torch.testing.assert_close(
        extractor.embed(waveform / 20, lengths), extractor.embed(waveform, lengths), atol=1e-3, rtol=1e-3
    )
    assert extractor.embed(0 * waveform, lengths).isfinite().all()


def test_the_middle_of_a_long_utterance_counts(extractor) -> None:
    waveform = torch.arange(20.0).repeat(2, 1)
    cut, lengths = cut_middle(waveform, torch.tensor([20, 7]), longest=8)
    assert cut.tolist() == [[6, 7, 8, 9, 10, 11, 12, 13], [0, 1, 2, 3, 4, 5, 6, 7]]
    assert lengths.tolist() == [8, 7]


def test_pairs_of_valid_frames_are_averaged() -> None:
    frames = torch.tensor([[[1.0], [3.0], [5.0]], [[1.0], [9.0], [9.0]]])
    pairs, mask = pair_frames(frames, torch.tensor([[True, True, True], [True, False, False]]))
    assert pairs[..., 0].tolist() == [[2, 5], [1, 0]]
    assert mask.tolist() == [[True, True], [True, False]]


def test_a_saved_extractor_is_the_same(extractor, tmp_path) -> None:
    extractor.save(tmp_path)
    read = EmotionExtractor.load(tmp_path)
    assert (read.extractor_digest, read.dim, read.config) == (extractor.extractor_digest, 5, TINY)
    waveform, lengths = 0.1 * torch.randn(2, 9_000), torch.tensor([9_000, 3_000])
    torch.testing.assert_close(
        read.embed(waveform, lengths), extractor.embed(waveform, lengths), atol=0.05, rtol=0.05
    )  # stored as float16
    with pytest.raises(ModelError, match=r"models\.emotion\.distillation"):
        EmotionExtractor.load(tmp_path / "none")


def test_the_shipped_one_is_what_the_feature_version_names() -> None:
    own = shipped_extractor()
    assert shipped_extractor_config() == {"extractor_digest": own.extractor_digest, "dim": own.dim}
    assert computed_fingerprints()["emotion_embeddings"] == own.extractor_digest
    assert (WEIGHTS / "emotion_features" / "weights.safetensors").stat().st_size < 6_000_000
    assert "MIT" in (WEIGHTS / "emotion_features" / "README.md").read_text()
    assert np.isfinite(own.embed(0.1 * torch.randn(1, 16_000), torch.tensor([16_000])).numpy()).all()
