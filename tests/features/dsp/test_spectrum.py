"""Power spectra: energy is kept, a tone is in its bin, and librosa's are the same."""

import librosa
import numpy as np
import pytest
import torch
from helpers.sound import white_noise

from data_contracts.errors import UsageError
from features.dsp import frames, spectrum
from features.dsp.spectrum import gauss, hamming, hann, power_in_chunks, power_of_frames, power_spectrum

RATE, HOP, N_FFT = 16_000, 160, 512


@pytest.fixture
def noise(device):
    return white_noise(3, RATE).to(device)


def power(waveform, window=400):
    return power_spectrum(waveform, taper=hann(window, waveform.device), hop=HOP, n_fft=N_FFT)


def test_shape(noise):
    assert power(noise).shape == (3, frames.max_frames(RATE, window=400, hop=HOP), N_FFT // 2 + 1)
    assert power(noise).dtype == torch.float32
    assert power(noise[:, :100]).shape == (3, 1, N_FFT // 2 + 1)  # a quarter of a frame is one, zero-padded


@pytest.mark.parametrize("size", [1, 3])
def test_batch_matches_single(noise, size):
    together = power(noise[:size])
    for row in range(size):
        torch.testing.assert_close(power(noise[row : row + 1])[0], together[row], rtol=1e-5, atol=1e-7)


def test_samples_behind_a_frame_are_ignored(noise):
    louder = torch.nn.functional.pad(noise, (0, 3000), value=1.0)
    torch.testing.assert_close(power(louder)[:, :98], power(noise), rtol=1e-5, atol=1e-7)


def test_chunks_join_to_the_whole(noise, monkeypatch):
    monkeypatch.setitem(spectrum.CHUNK_FRAMES, noise.device.type, 20)
    chunks = list(power_in_chunks(noise, taper=hann(400, noise.device), hop=HOP, n_fft=N_FFT))
    assert max(chunk.shape[1] for chunk in chunks) == 6  # 20 frames in flight are six of each of three rows
    torch.testing.assert_close(torch.cat(chunks, dim=1), power(noise), rtol=1e-5, atol=1e-7)


def test_silence_and_constant(device):
    values = power(torch.stack([torch.zeros(800), torch.full((800,), 0.5)]).to(device))
    assert not values[0].any()
    assert (values[1, :, 0] > 1e6 * values[1, :, 10:].amax(-1)).all()


def test_energy_is_kept(noise):
    """Parseval: bins counted twice but for the first and the last, over n_fft."""
    tapered = frames.frame(noise, window=400, hop=HOP) * hann(400, noise.device)
    bins = power_of_frames(tapered, n_fft=N_FFT)
    total = (2 * bins.sum(-1) - bins[..., 0] - bins[..., -1]) / N_FFT
    torch.testing.assert_close(total, tapered.square().sum(-1), rtol=1e-4, atol=1e-6)


def test_pure_tone_is_in_its_bin(device):
    time_s = torch.arange(RATE, device=device) / RATE
    for hz in (250.0, 1000.0, 7000.0):
        values = power(torch.sin(2 * torch.pi * hz * time_s)[None], window=512)
        assert (values.argmax(-1) == round(hz * N_FFT / RATE)).all()
        height = (hann(512, device).sum() / 2).square()
        torch.testing.assert_close(values.amax(-1), height.expand(values.shape[:2]), rtol=1e-3, atol=0)


def test_tapers_match_their_definitions(device):
    np.testing.assert_allclose(hann(400, device).cpu(), np.hanning(401)[:400], atol=1e-6)
    np.testing.assert_allclose(hamming(320, device).cpu(), np.hamming(320), atol=1e-6)
    bell = gauss(801, 0.4, device)
    assert bell[400] == 1
    assert bell[560].item() == pytest.approx(np.exp(-0.5), abs=1e-5)  # 0.4 half windows from the middle
    assert torch.equal(bell, bell.flip(0))


def test_matches_librosa(noise):
    """Within 1e-4 of the largest; librosa centres its window in n_fft, 56 samples behind ours."""
    padded = np.pad(noise[0].cpu().numpy(), (56, 56))
    expected = np.abs(librosa.stft(padded, n_fft=N_FFT, win_length=400, hop_length=HOP, center=False)) ** 2
    np.testing.assert_allclose(power(noise)[0].cpu().T, expected, atol=1e-4 * expected.max())


def test_a_window_that_does_not_fit_is_refused(device):
    with pytest.raises(UsageError, match="raise n_fft"):
        power_spectrum(torch.zeros(1, 800, device=device), taper=hann(400, device), hop=HOP, n_fft=256)
