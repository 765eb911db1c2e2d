"""Spectral descriptors: tones, noise and slopes with known answers."""

import librosa
import numpy as np
import pytest
import torch

from data_contracts.errors import UsageError
from features import spectrum
from features.spectrum import DESCRIPTOR_NAMES, descriptors, power_in_chunks, power_spectrum

RATE = 16_000
STFT = {"window": 400, "hop": 160, "n_fft": 512}


def noise(n_rows, device):
    return 0.1 * torch.randn(n_rows, RATE, generator=torch.Generator().manual_seed(1)).to(device)


def column(values, name):
    return values[..., DESCRIPTOR_NAMES.index(name)]


def test_shape(device):
    power = power_spectrum(noise(2, device), **STFT)
    assert power.shape == (2, 98, 257)
    values = descriptors(power)
    assert values.shape == (2, 98, len(DESCRIPTOR_NAMES))
    assert values.dtype == torch.float32


def test_batch_matches_single(device):
    power = power_spectrum(noise(3, device), **STFT)
    together = descriptors(power)
    for row in range(3):
        torch.testing.assert_close(descriptors(power[row : row + 1])[0], together[row], rtol=1e-4, atol=1e-4)


def test_padding_is_ignored(device):
    waveform = noise(1, device)
    padded = torch.nn.functional.pad(waveform, (0, 3000), value=1.0)
    short = descriptors(power_spectrum(waveform, **STFT))
    torch.testing.assert_close(descriptors(power_spectrum(padded, **STFT))[:, :98], short, rtol=1e-4, atol=1e-4)


def test_chunks_with_overlap_are_the_whole(device, monkeypatch):
    waveform = noise(2, device)
    monkeypatch.setattr(spectrum, "CHUNK_FRAMES", 20)
    chunks = list(power_in_chunks(waveform, **STFT, overlap=1))
    assert max(chunk.shape[1] for chunk in chunks) == 11
    rejoined = torch.cat([chunks[0], *(chunk[:, 1:] for chunk in chunks[1:])], dim=1)
    torch.testing.assert_close(rejoined, power_spectrum(waveform, **STFT), rtol=1e-4, atol=1e-4)


def test_silence_and_constant(device):
    waveform = torch.stack([torch.zeros(1200), torch.full((1200,), 0.5)]).to(device)
    values = descriptors(power_spectrum(waveform, **STFT))
    assert values.isfinite().all()
    silence = dict(zip(DESCRIPTOR_NAMES, values[0, -1].tolist(), strict=True))
    assert silence["energy_db"] == pytest.approx(-80, abs=1e-3)
    assert silence["flatness"] == pytest.approx(1, abs=1e-3)
    assert silence["flux"] == silence["hammarberg_db"] == 0
    assert silence["slope_0_500_db_per_khz"] == pytest.approx(0, abs=1e-3)
    assert (column(values[1], "centroid_hz") < 20).all()
    assert (column(values[1], "flatness") < 1e-3).all()


def test_pure_tone_sits_at_its_frequency(device):
    time_s = torch.arange(RATE, device=device) / RATE
    for hz in (500.0, 3000.0):
        waveform = 0.5 * torch.sin(2 * torch.pi * hz * time_s)[None]
        values = descriptors(power_spectrum(waveform, **STFT))
        np.testing.assert_allclose(column(values, "centroid_hz").cpu(), hz, rtol=0.01)
        np.testing.assert_allclose(column(values, "rolloff_hz").cpu(), hz, atol=2 * RATE / 512)
        assert (column(values, "spread_hz") < 50).all()
        assert (column(values, "flux") < 0.01).all()
        assert ((column(values, "alpha_ratio_db") > 0) == (hz < 1000)).all()
        assert ((column(values, "hammarberg_db") > 0) == (hz < 2000)).all()


def test_twice_the_amplitude_is_six_decibels_and_the_same_shape(device):
    soft = descriptors(power_spectrum(noise(1, device), **STFT))
    loud = descriptors(power_spectrum(2 * noise(1, device), **STFT))
    torch.testing.assert_close(loud[..., 0] - soft[..., 0], torch.full_like(soft[..., 0], 6.0206), rtol=0, atol=1e-3)
    torch.testing.assert_close(loud[..., 1:], soft[..., 1:], rtol=1e-3, atol=1e-3)


def test_slopes_of_a_spectrum_that_falls_twelve_decibels_a_kilohertz(device):
    khz = torch.linspace(0, 8, 257, device=device)
    values = descriptors((10 ** (-1.2 * khz))[None, None])
    assert column(values, "slope_0_500_db_per_khz").item() == pytest.approx(-12, abs=0.01)
    assert column(values, "slope_500_1500_db_per_khz").item() == pytest.approx(-12, abs=0.01)
    assert column(values, "hammarberg_db").item() == pytest.approx(24, abs=0.1)


def test_flux_of_two_tones_that_share_nothing_is_the_square_root_of_two(device):
    power = torch.zeros(1, 3, 257, device=device)
    power[:, :2, 40], power[:, 2, 200] = 1000.0, 1000.0
    flux = column(descriptors(power), "flux")[0]
    assert flux[:2].tolist() == [0, 0]
    assert flux[2].item() == pytest.approx(2**0.5, rel=1e-3)


def test_matches_librosa(device):
    """Within 1e-3, the roll-off within a bin (librosa names the bin): librosa's descriptors of the same powers."""
    power = power_spectrum(noise(1, device), **STFT)
    values = descriptors(power)[0].cpu()
    s = power[0].T.cpu().numpy()
    centroid = librosa.feature.spectral_centroid(S=s, sr=RATE, n_fft=512)[0]
    np.testing.assert_allclose(column(values, "centroid_hz"), centroid, rtol=1e-3)
    spread = librosa.feature.spectral_bandwidth(S=s, sr=RATE, n_fft=512)[0]
    np.testing.assert_allclose(column(values, "spread_hz"), spread, rtol=1e-3)
    rolloff = librosa.feature.spectral_rolloff(S=s, sr=RATE, n_fft=512, roll_percent=0.85)[0]
    behind_hz = rolloff - column(values, "rolloff_hz").numpy()
    assert ((behind_hz >= -0.1) & (behind_hz <= RATE / 512 + 0.1)).all()
    flatness = librosa.feature.spectral_flatness(S=s, power=1.0)[0]
    np.testing.assert_allclose(column(values, "flatness"), flatness, rtol=1e-3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="n_fft"):
        power_spectrum(torch.zeros(1, 800), window=400, hop=160, n_fft=256)
    with pytest.raises(UsageError, match="sample rate"):
        descriptors(torch.zeros(1, 1, 257), sample_rate=8000)
