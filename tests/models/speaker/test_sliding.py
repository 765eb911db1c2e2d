"""Sliding-window embeddings: the network's own, from frames that are computed once."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from helpers.sound import padded_noise

from models.pretrained import from_speechbrain, from_wespeaker
from models.speaker.encoder import EncoderConfig, build_network
from models.speaker.model import SpeakerModel
from models.speaker.sliding import sliding_by_crops

RATE = 16_000
SMALL = EncoderConfig(dim=16, channels=16, merged_channels=24, attention_channels=8)
WINDOWS_S, HOP_S = (2.0, 0.5), 0.25


@pytest.fixture(scope="module")
def model() -> SpeakerModel:
    torch.manual_seed(0)
    encoder = build_network(SMALL)
    for module in encoder.modules():  # as after training: what the norms know is not 0 and 1
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    return SpeakerModel(encoder, SMALL, threshold=0.4, calibration=(9.0, -3.0))


@pytest.fixture(params=["trained here", "SpeechBrain's", "WeSpeaker's"])
def embed_sliding(request, model, ecapa, wespeaker) -> Callable:
    """Return a function from (waveform, lengths) to each row's windows of each length."""
    encoder = {
        "trained here": lambda: model,
        "SpeechBrain's": lambda: from_speechbrain.convert_speaker(ecapa, training={}),
        "WeSpeaker's": lambda: from_wespeaker.convert_speaker(wespeaker, training={}),
    }[request.param]()
    return lambda waveform, lengths: encoder.sliding_embeddings(waveform, lengths, WINDOWS_S, HOP_S)


def test_shape_and_unit_length(embed_sliding):
    for row, counts in zip(
        embed_sliding(*padded_noise(80_000, 49_600, 6_400)), [(13, 19), (5, 11), (1, 1)], strict=True
    ):
        assert tuple(len(vectors) for vectors in row) == counts
        for vectors in row:
            assert vectors.shape[1] == 16
            torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))


def test_a_window_of_one_chunk_is_the_embedding_of_it(model):
    waveform, lengths = padded_noise(32_000, 32_000)
    alone = torch.cat([row[0] for row in model.sliding_embeddings(waveform, lengths, WINDOWS_S, HOP_S)])
    torch.testing.assert_close(alone, model.embed(waveform, lengths), atol=1e-4, rtol=0)


def test_a_window_depends_on_its_own_time(model):
    """Another sound from 6 s on changes the windows there, and none that a chunk of 2 s before does not touch."""
    waveform, lengths = padded_noise(160_000)
    other = waveform.clone()
    other[:, 6 * RATE :] = torch.sin(torch.arange(4 * RATE) * 0.3) * 0.1
    before, after = (model.sliding_embeddings(sound, lengths, WINDOWS_S, HOP_S)[0] for sound in (waveform, other))
    for first, second, window_s in zip(before, after, WINDOWS_S, strict=True):
        alike = (first * second).sum(1)
        starts = torch.arange(len(alike)) * HOP_S
        torch.testing.assert_close(alike[starts + window_s <= 6], torch.ones(int((starts + window_s <= 6).sum())))
        assert (alike[starts >= 6] < 0.99).all()


@pytest.mark.parametrize("n", [1, 3])
def test_batch_matches_single(embed_sliding, n):
    waveform, lengths = padded_noise(*[68_800, 176_000, 43_200][:n])
    together = embed_sliding(waveform, lengths)
    for place in range(n):
        (alone,) = embed_sliding(waveform[place : place + 1, : lengths[place]], lengths[place : place + 1])
        for ours, theirs in zip(together[place], alone, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_padding_is_ignored(embed_sliding):
    waveform, lengths = padded_noise(48_000, 75_200)
    padded = torch.cat([waveform, torch.full((2, 5_000), 0.9)], dim=1)
    padded[0, lengths[0] :] = float("nan")
    for ours, theirs in zip(embed_sliding(padded, lengths), embed_sliding(waveform, lengths), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_silence_and_nothing_are_finite(embed_sliding):
    for row in embed_sliding(torch.zeros(2, 5 * RATE), torch.tensor([5 * RATE, 0])):
        assert all(vectors.isfinite().all() for vectors in row)


def test_weights_that_outweigh_all_others_divide_nothing_by_zero(model):
    """An attention so sharp that most frames weigh nothing in single precision."""
    sharp = SpeakerModel(build_network(SMALL), SMALL, threshold=0.4, calibration=(9.0, -3.0))
    sharp.encoder.load_state_dict(model.encoder.state_dict())
    sharp.encoder.asp.conv.conv.weight.data *= 1e4
    (row,) = sharp.sliding_embeddings(*padded_noise(96_000), WINDOWS_S, HOP_S)
    assert all(vectors.isfinite().all() for vectors in row)


def test_crops_of_a_model_without_frames_are_of_the_same_windows(model):
    def embed(waveform: torch.Tensor, lengths: torch.Tensor) -> np.ndarray:
        return model.embed(waveform, lengths).numpy()

    waveform, lengths = padded_noise(44_000, 16_000)
    crops = sliding_by_crops(embed, waveform, lengths, windows_s=WINDOWS_S, hop_s=HOP_S)
    frames = model.sliding_embeddings(waveform, lengths, WINDOWS_S, HOP_S)
    assert [[len(own) for own in row] for row in crops] == [[len(own) for own in row] for row in frames]
    third = embed(waveform[:1, round(0.5 * RATE) : round(2.5 * RATE)], torch.tensor([2 * RATE]))
    np.testing.assert_allclose(crops[0][0][2], third[0], atol=1e-4)
