"""Spectral balance of spectra with a known tilt, ratio or change."""

import pytest
import torch
from helpers.sound import white_noise

from features.dsp.spectral_balance import NAMES, spectral_balance
from features.dsp.spectrum import hamming, power_spectrum

RATE = 16_000
N_BINS = 257


def balance_of(waveform):
    """(batch, frames, len(NAMES)) of a waveform's frames of 20 ms."""
    power = power_spectrum(waveform, taper=hamming(320, waveform.device), hop=160, n_fft=512)
    return spectral_balance(power, sample_rate=RATE)


def of_spectrum(power, rate=RATE):
    """By name, of one frame's power (bins,)."""
    return dict(zip(NAMES, spectral_balance(power[None, None], sample_rate=rate)[0, 0].tolist(), strict=True))


def hertz(device, n_bins=N_BINS, rate=RATE):
    return torch.linspace(0, rate / 2, n_bins, device=device)


def test_shape(device):
    values = balance_of(white_noise(2, RATE).to(device))
    assert values.shape == (2, 99, len(NAMES))
    assert values.dtype == torch.float32


@pytest.mark.parametrize("size", [1, 3])
def test_batch_matches_single(size, device):
    waveform = white_noise(size, RATE).to(device)
    together = balance_of(waveform)
    for row in range(size):
        torch.testing.assert_close(balance_of(waveform[row : row + 1])[0], together[row], rtol=1e-4, atol=1e-5)


def test_padding_is_ignored(device):
    waveform = white_noise(1, RATE).to(device)
    louder = torch.nn.functional.pad(waveform, (0, 3000), value=1.0)
    torch.testing.assert_close(balance_of(louder)[:, :99], balance_of(waveform), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0, 1e-12])
def test_silence_and_constant(level, device):
    values = balance_of(torch.full((1, 800), level, device=device))
    assert values.isfinite().all()
    assert (values[..., -1] < 1e-5).all()  # nothing changes
    if level < 1e-6:
        floor = torch.tensor([0, 0, 0.112, 0.076, 0], device=device)  # the slopes of a spectrum at FLOOR throughout
        torch.testing.assert_close(values, floor.expand_as(values), rtol=0, atol=1e-3)


def test_half_a_frame_and_clipping_are_finite(device):
    clipped = (50 * white_noise(1, RATE).to(device)).clamp(-1, 1)
    for waveform in (clipped, clipped[:, :100], clipped[:, :1], clipped[:, :0]):
        assert balance_of(waveform).isfinite().all()


@pytest.mark.parametrize("tilt_db_per_khz", [-30.0, -12.0, 0.0, 6.0])
def test_a_known_tilt_is_both_slopes_and_the_ratio_of_peaks(tilt_db_per_khz, device):
    power = 10 ** (0.1 * tilt_db_per_khz * hertz(device) / 1000)
    found = of_spectrum(power)
    assert found["slope_0_500"] == pytest.approx(tilt_db_per_khz / 1000, abs=1e-5)
    assert found["slope_500_1500"] == pytest.approx(tilt_db_per_khz / 1000, abs=1e-5)
    below, above = (0, 2) if tilt_db_per_khz < 0 else (2, 5)  # where each band is highest, in kHz
    expected = tilt_db_per_khz * (below - above)
    assert found["hammarberg_db"] == pytest.approx(expected, abs=abs(tilt_db_per_khz) / 30 + 1e-4)  # a bin


def test_slopes_are_those_of_their_own_band(device):
    hz = hertz(device)
    low = torch.where(hz <= 500, -0.02 * hz, 40)
    assert of_spectrum(10 ** (low / 10))["slope_0_500"] == pytest.approx(-0.02, rel=1e-3)
    high = torch.where(hz >= 500, 0.005 * hz, 40)
    assert of_spectrum(10 ** (high / 10))["slope_500_1500"] == pytest.approx(0.005, rel=1e-3)


def test_alpha_ratio_of_a_flat_spectrum_is_that_of_the_bandwidths(device):
    """4 kHz against 0.95 (or, with the lowest bin, 1) kHz: 6 dB, less or more a bin."""
    assert of_spectrum(torch.ones(N_BINS, device=device))["alpha_ratio_db"] == pytest.approx(6.1, abs=0.25)


def test_pure_tones_count_on_their_side_of_the_ratios(device):
    time_s = torch.arange(RATE, device=device) / RATE
    tones = torch.stack([0.5 * torch.sin(2 * torch.pi * hz * time_s) for hz in (500.0, 1500.0, 3000.0)])
    alpha, hammarberg = balance_of(tones).mean(1)[:, :2].unbind(-1)
    assert (alpha > 20).tolist() == [False, True, True]
    assert (alpha < -20).tolist() == [True, False, False]
    assert (hammarberg > 20).tolist() == [True, True, False]
    assert (hammarberg < -20).tolist() == [False, False, True]


def test_energy_beyond_five_kilohertz_does_not_count(device):
    hz = hertz(device)
    quiet = torch.full((N_BINS,), 1e-3, device=device)
    expected = of_spectrum(quiet)
    found = of_spectrum(torch.where(hz > 5100, 100.0, quiet))
    assert found == expected


def test_flux_of_a_steady_tone_is_negligible_beside_that_of_its_onset(device):
    time_s = torch.arange(RATE, device=device) / RATE
    tone = torch.sin(2 * torch.pi * 1000 * time_s)  # ten periods a hop: all frames are alike
    tone[: RATE // 2] = 0
    flux = balance_of(tone[None])[0, :, -1]
    assert flux[0] == 0
    onset = flux.argmax().item()
    assert onset in (48, 49, 50)
    assert flux[55:].amax() < 1e-3 * flux[onset]
    assert not flux[:48].any()


def test_flux_is_the_root_mean_square_of_the_change(device):
    """One bin of 161 up to 5 kHz rises from 0 to a magnitude of 10."""
    power = torch.zeros(1, 2, N_BINS, device=device)
    power[0, 1, 40] = 100.0
    flux = spectral_balance(power, sample_rate=RATE)[0, :, -1]
    assert flux.tolist() == pytest.approx([0, 10 / 161**0.5], rel=1e-3)


def test_twice_the_amplitude_doubles_the_flux_and_changes_no_ratio(device):
    """The slopes lean on the level, as eGeMAPSv02's do: by less than 0.001 dB/Hz a decibel."""
    soft, loud = balance_of(white_noise(1, RATE).to(device)), balance_of(2 * white_noise(1, RATE).to(device))
    torch.testing.assert_close(loud[..., :2], soft[..., :2], rtol=1e-3, atol=1e-3)
    assert ((loud - soft)[..., 2:4].abs() < 0.001 * 6.03).all()
    torch.testing.assert_close(loud[..., 4], 2 * soft[..., 4], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("rate", "n_bins"), [(22_050, 257), (44_100, 513), (48_000, 513)])
def test_other_sample_rates_give_the_same(rate, n_bins, device):
    here, there = (
        of_spectrum(10 ** (-hertz(device, bins, at) / 1000), at) for bins, at in ((N_BINS, RATE), (n_bins, rate))
    )
    for name in ("slope_0_500", "slope_500_1500"):
        assert there[name] == pytest.approx(here[name], rel=1e-3)
    assert there["alpha_ratio_db"] == pytest.approx(here["alpha_ratio_db"], abs=0.6)  # bins are wider or narrower
    assert there["hammarberg_db"] == pytest.approx(here["hammarberg_db"], abs=0.6)
