"""ResNet speaker encoder: padding and batch change nothing, and the statistics are those of a sample."""

import pytest
import torch
from torch import nn

from models.wespeaker.network import ResNet, ResNetShape

TINY = ResNetShape(blocks=(1, 2, 1, 1), channels=4, n_bands=80, dim=8)


@pytest.fixture(scope="module")
def network() -> ResNet:
    torch.manual_seed(0)
    return ResNet(TINY).eval().requires_grad_(False)


def speech(*lengths: int) -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.randn(len(lengths), max(lengths), generator=torch.Generator().manual_seed(1))
    return 0.1 * noise, torch.tensor(lengths)


def test_rows_of_a_batch_are_embedded_as_they_are_alone(network: ResNet) -> None:
    waveform, lengths = speech(9_000, 16_000, 401, 12_345)
    together = network.embed(waveform, lengths)
    alone = torch.cat([network.embed(row[None, :n], n[None]) for row, n in zip(waveform, lengths, strict=True)])
    assert together.shape == (4, 8)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_what_lies_beyond_a_row_is_not_heard(network: ResNet) -> None:
    waveform, lengths = speech(9_000, 16_000)
    louder = waveform.clone()
    louder[0, 9_000:] = 1.0
    torch.testing.assert_close(network.embed(louder, lengths), network.embed(waveform, lengths))


@pytest.mark.parametrize("n_samples", [0, 1, 399, 400, 560])
def test_hardly_any_sound_has_an_embedding(network: ResNet, n_samples: int) -> None:
    waveform, lengths = speech(max(1, n_samples))
    assert network.embed(waveform[:, :n_samples], lengths.clamp_max(n_samples)).isfinite().all()


def test_pools_mean_and_deviation_of_the_last_stage(network: ResNet) -> None:
    bands = torch.randn(1, 50, 80, generator=torch.Generator().manual_seed(2))
    frames, n = network.frames(bands, torch.tensor([50]))
    assert frames.shape == (1, TINY.n_pooled, 7)
    assert n.tolist() == [7]
    pooled = torch.cat([frames.mean(2), frames.std(2)], dim=1)
    expected = nn.functional.linear(pooled, network.linear.weight, network.linear.bias)
    torch.testing.assert_close(network.project(frames.mean(2), frames.std(2)), expected)
