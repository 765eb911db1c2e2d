"""Statistics of contours, timbre and rhythm: independence of padding, and sounds with known answers."""

import math

import numpy as np
import pytest
import torch
from helpers.sound import white_noise

from features.dsp.gemaps import EgemapsConfig, egemaps_lld
from features.dsp.suprasegmentals import SUPRASEGMENTAL_NAMES, suprasegmental, version

RATE = 16_000


def rows_of(waveform, lengths=None):
    lengths = torch.tensor([waveform.shape[1]] * len(waveform)) if lengths is None else lengths
    lengths = lengths.to(waveform.device)
    return suprasegmental(waveform, lengths, egemaps_lld(waveform, lengths))


def row_by_name(waveform):
    """(time,) to its row by name."""
    return dict(zip(SUPRASEGMENTAL_NAMES, rows_of(waveform[None])[0].tolist(), strict=True))


def test_shape_and_names(device):
    rows = rows_of(torch.stack([white_noise(8_000), white_noise(8_000, seed=1)]).to(device))
    assert rows.shape == (2, len(SUPRASEGMENTAL_NAMES)) == (2, 665)
    assert rows.dtype == torch.float32
    assert rows.device.type == device.type
    assert len(set(SUPRASEGMENTAL_NAMES)) == 665


@pytest.mark.parametrize("n", [1, 3])
def test_batch_matches_single(device, vowels, n):
    sizes = [16_000, 5_000, 11_111][:n]
    waveform = torch.zeros(n, 16_000)
    for row, (vowel, size) in enumerate(zip(vowels, sizes, strict=False)):
        waveform[row, :size] = vowel[:size] + white_noise(size, level=0.01, seed=row)
    batched = rows_of(waveform.to(device), torch.tensor(sizes))
    for row, size in enumerate(sizes):
        alone = rows_of(waveform[row : row + 1, :size].to(device))[0]
        torch.testing.assert_close(batched[row], alone, atol=2e-3, rtol=2e-3)


def test_padding_is_ignored(device, vowels):
    waveform = vowels[1][None, :9_000].to(device)
    padded = torch.cat([waveform, torch.full((1, 7_000), 0.7, device=device)], dim=1)
    torch.testing.assert_close(rows_of(padded, torch.tensor([9_000])), rows_of(waveform), atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("n", [0, 1, 400, 3_000, 16_000])
def test_silence_and_constant_are_finite(device, n):
    assert rows_of(torch.zeros(1, n, device=device)).isfinite().all()
    assert rows_of(torch.full((1, n), 0.5, device=device)).isfinite().all()


def test_non_finite_samples_give_finite_values(device):
    waveform = white_noise(6_000)[None].to(device)
    waveform[0, 100] = float("nan")
    assert rows_of(waveform).isfinite().all()


def test_a_sound_that_repeats_with_every_frame_has_no_steps(pulses):
    row = row_by_name(0.1 * pulses(100, 2.0))
    assert row["cepstrum1_all_sd"] < 0.02
    assert row["cepstrum1_all_step_mean"] < 0.02
    assert row["cepstrum1_all_p10"] == pytest.approx(row["cepstrum1_all_p90"], abs=0.05)
    assert max(row[name] for name in row if name.startswith("modulation")) < 0


@pytest.mark.parametrize("hz", [3.9, 5.0, 8.0, 14.0])
def test_modulation_peaks_at_the_rate_of_a_beat(hz):
    time_s = torch.arange(3 * RATE) / RATE
    row = row_by_name(white_noise(3 * RATE) * (1 + 0.5 * torch.sin(2 * math.pi * hz * time_s)))
    powers: dict[str, list[float]] = {}
    for name, value in row.items():
        if name.startswith("modulation"):
            powers.setdefault(name.removeprefix("modulation").split("Hz")[0], []).append(value)
    strongest = max(powers, key=lambda rate: np.mean(powers[rate]))
    low, high = map(int, strongest.split("-"))
    assert low - 1 <= hz <= high + 1


def test_matches_numpy_on_a_contour(vowels):
    """Mean, spread, percentiles and steps of the voiced F0, as NumPy has them."""
    glide = torch.cat([vowels[0], vowels[2]])[None]
    described = egemaps_lld(glide, torch.tensor([glide.shape[1]]))
    f0 = described.values[0, described.voiced[0], 10].numpy()
    row = dict(zip(SUPRASEGMENTAL_NAMES, rows_of(glide)[0].tolist(), strict=True))
    name = "F0semitoneFrom27.5Hz_sma3nz_voiced"
    expected = [f0.mean(), f0.std(), *np.percentile(f0, [10, 50, 90]), np.diff(f0).std(), np.abs(np.diff(f0)).mean()]
    found = [row[f"{name}_{what}"] for what in ("mean", "sd", "p10", "p50", "p90", "step_sd", "step_mean")]
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_version_depends_on_the_descriptors():
    assert version(EgemapsConfig()) == version(EgemapsConfig())
    assert version(EgemapsConfig()) != version(EgemapsConfig(f0_max_hz=500.0))
