"""Loudness and the first cepstra: the power law and the weights of the ear, and librosa's filters."""

import librosa
import numpy as np
import pytest
import torch
from helpers.sound import white_noise
from scipy.fft import dct

from features.dsp import slopes
from features.dsp.auditory import COMPRESSION, LIFTER, MAX_HZ, MIN_HZ, N_BANDS, N_MFCC, loudness_and_mfcc
from features.dsp.spectrum import hamming, power_spectrum

RATE = 16_000


def loudness_and_cepstra(waveform):
    """Loudness (batch, frames) and MFCC (batch, frames, N_MFCC) of a waveform's frames of 20 ms."""
    return loudness_and_mfcc(power_of(waveform), sample_rate=RATE)


def power_of(waveform):
    return power_spectrum(waveform, taper=hamming(320, waveform.device), hop=160, n_fft=512)


def tone(hz, device, seconds=1.0):
    return 0.3 * torch.sin(2 * torch.pi * hz * torch.arange(round(seconds * RATE), device=device) / RATE)[None]


def test_shape(device):
    loudness, cepstra = loudness_and_cepstra(white_noise(2, RATE).to(device))
    assert loudness.shape == (2, 99)
    assert cepstra.shape == (2, 99, N_MFCC)
    assert loudness.dtype == cepstra.dtype == torch.float32


@pytest.mark.parametrize("size", [1, 3])
def test_batch_matches_single(size, device):
    waveform = white_noise(size, RATE).to(device)
    together = loudness_and_cepstra(waveform)
    for row in range(size):
        for alone, batch in zip(loudness_and_cepstra(waveform[row : row + 1]), together, strict=True):
            torch.testing.assert_close(alone[0], batch[row], rtol=1e-5, atol=1e-4)


def test_padding_is_ignored(device):
    louder = torch.nn.functional.pad(white_noise(1, RATE).to(device), (0, 3000), value=1.0)
    for padded, alone in zip(
        loudness_and_cepstra(louder), loudness_and_cepstra(white_noise(1, RATE).to(device)), strict=True
    ):
        torch.testing.assert_close(padded[:, :99], alone, rtol=1e-5, atol=1e-4)


def test_silence_and_constant(device):
    loudness, cepstra = loudness_and_cepstra(torch.stack([torch.zeros(800), torch.full((800,), 0.5)]).to(device))
    assert not loudness[0].any()
    torch.testing.assert_close(cepstra[0], torch.zeros_like(cepstra[0]), rtol=0, atol=1e-3)
    assert (
        loudness[1] < loudness_and_cepstra(tone(1000, device))[0].mean()
    ).all()  # of an offset, the window's lobes alone are heard
    assert cepstra.isfinite().all()


def test_half_a_frame_and_clipping_are_finite(device):
    clipped = (50 * white_noise(1, RATE).to(device)).clamp(-1, 1)
    for waveform in (clipped, clipped[:, :100], clipped[:, :1], clipped[:, :0]):
        loudness, cepstra = loudness_and_cepstra(waveform)
        assert loudness.isfinite().all()
        assert cepstra.isfinite().all()


def test_loudness_grows_with_the_amplitude_to_the_power_of_two_thirds(device):
    soft, loud = (
        loudness_and_cepstra(white_noise(1, RATE).to(device))[0],
        loudness_and_cepstra(10 * white_noise(1, RATE).to(device))[0],
    )
    torch.testing.assert_close(loud / soft, torch.full_like(soft, 10 ** (2 * COMPRESSION)), rtol=1e-4, atol=0)


def test_loudness_follows_the_ear_at_equal_power(device):
    at = {hz: loudness_and_cepstra(tone(hz, device))[0].mean().item() for hz in (100, 250, 1000, 3000, 7500)}
    assert at[100] < at[250] < at[1000] < at[3000]
    assert at[7500] < at[3000]


def test_speech_near_full_scale_is_about_one(device):
    """A buzz of twenty harmonics with a root mean square of 0.1, the level of clear speech."""
    buzz = torch.cat([tone(150 * k, device) / k for k in range(1, 21)]).sum(0, keepdim=True)
    assert 0.5 < loudness_and_cepstra(0.1 * buzz / buzz.square().mean().sqrt())[0].mean() < 3


@pytest.mark.parametrize("swells_hz", [3.0, 7.0])
def test_loudness_peaks_of_a_swelling_tone(swells_hz, device):
    time_s = torch.arange(2 * RATE, device=device) / RATE
    swell = 0.55 - 0.45 * torch.cos(2 * torch.pi * swells_hz * time_s)
    loudness, _ = loudness_and_cepstra(swell * tone(500, device, seconds=2.0))
    found = slopes.contour_slopes(loudness, torch.ones_like(loudness, dtype=torch.bool), hop_s=0.010)
    assert found.peaks.sum().item() == round(2 * swells_hz)


def test_cepstra_do_not_depend_on_the_level(device):
    soft, loud = (
        loudness_and_cepstra(white_noise(1, RATE).to(device))[1],
        loudness_and_cepstra(5 * white_noise(1, RATE).to(device))[1],
    )
    torch.testing.assert_close(loud, soft, rtol=0, atol=5e-3)


def test_matches_librosa(device):
    """Correlation above 0.99, 5 % on average: librosa's HTK filters, SciPy's DCT, HTK's lifter.

    librosa's triangles are straight over hertz, ours over mel.
    """
    power = power_of(white_noise(1, RATE).to(device))
    filters = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=N_BANDS, fmin=MIN_HZ, fmax=MAX_HZ, htk=True, norm=None)
    logs = np.log(power[0].cpu().numpy() @ filters.T)
    order = np.arange(1, N_MFCC + 1)
    lifter = 1 + LIFTER / 2 * np.sin(np.pi * order / LIFTER)
    expected = dct(logs, type=2, norm="ortho")[:, 1 : N_MFCC + 1] * lifter
    _, cepstra = loudness_and_mfcc(power, sample_rate=RATE)
    for mine, theirs in zip(cepstra[0].cpu().numpy().T, expected.T, strict=True):
        assert np.corrcoef(mine, theirs)[0, 1] > 0.99
        assert np.abs(mine - theirs).mean() < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize(("rate", "n_fft"), [(22_050, 512), (44_100, 1024), (48_000, 1024)])
def test_other_sample_rates_give_the_same(rate, n_fft, device):
    """One spectrum, given in other bins: loudness agrees within 5 %, cepstra within 0.5."""
    hz_here, hz_there = (torch.linspace(0, at / 2, bins // 2 + 1) for at, bins in ((RATE, 512), (rate, n_fft)))
    here, there = ((100 * torch.exp(-hz / 1500)).to(device)[None, None] for hz in (hz_here, hz_there))
    width = (RATE / 512) / (rate / n_fft)
    (loudness, cepstra), (other, others) = (
        loudness_and_mfcc(here, sample_rate=RATE),
        loudness_and_mfcc(there / width, sample_rate=rate),
    )
    torch.testing.assert_close(other, loudness, rtol=0.05, atol=0)
    torch.testing.assert_close(others, cepstra, rtol=0, atol=0.5)
