"""Augmentation: random, repeatable, and never in place."""

from collections.abc import Callable

import pytest
import torch

from models.data.augmentation import add_hum, disturb, mask_bands, recolour, rerecord


@pytest.mark.parametrize("change", [add_hum, disturb, recolour, rerecord])
def test_augmentation_changes_a_copy_and_repeats(change: Callable[..., torch.Tensor]) -> None:
    waveform = torch.randn(6, 4_000, generator=torch.Generator().manual_seed(0)) * 0.1
    before = waveform.clone()
    first = change(waveform, torch.Generator().manual_seed(5))
    again = change(waveform, torch.Generator().manual_seed(5))
    assert torch.equal(first, again)
    assert torch.equal(waveform, before)
    assert first.shape == waveform.shape
    assert first.isfinite().all()
    assert not torch.allclose(first, waveform)


def test_masks_hide_a_stretch_and_leave_the_rest() -> None:
    bands = torch.ones(8, 60, 80)
    hidden = mask_bands(bands, torch.Generator().manual_seed(0)) == 0
    assert 0 < hidden.float().mean() < 0.5
    assert bool((bands == 1).all())


def test_recolouring_tilts_about_500_hz_and_leaves_the_rest() -> None:
    waveform = torch.randn(64, 16_000, generator=torch.Generator().manual_seed(0)) * 0.1
    after = recolour(waveform, torch.Generator().manual_seed(1), max_slope_db=6.0)
    change_db = 20 * (torch.fft.rfft(after).abs() / torch.fft.rfft(waveform).abs()).log10()
    untouched = change_db.abs().amax(1) < 0.1
    assert 0.1 < untouched.float().mean() < 0.4  # a quarter: neither another effort nor another microphone
    tilt_db = change_db[:, 4_000:5_000].mean(1) - change_db[:, 200:500].mean(1)
    assert tilt_db.abs().max() > 10
    assert tilt_db.abs().max() < 40


def test_hum_lies_at_multiples_of_the_mains_below_the_voice() -> None:
    waveform = torch.randn(16, 16_000, generator=torch.Generator().manual_seed(0)) * 0.1
    spectrum = torch.fft.rfft(add_hum(waveform, torch.Generator().manual_seed(1)) - waveform).abs() / 8_000
    assert spectrum[:, 0].max() < 2 * 0.05 + 1e-6  # the offset
    lines = torch.stack([spectrum[:, hz * torch.arange(1, 7)] for hz in (50, 60)])
    loudest_db = 20 * (lines[:, :, 0].amax(0) / 0.1 / 2**0.5).log10()
    assert loudest_db.min() > -36
    assert loudest_db.max() < -4
    between = spectrum.clone()
    for hz in (50, 60):
        between[:, hz * torch.arange(0, 7)] = 0
    assert between.max() < 1e-5
