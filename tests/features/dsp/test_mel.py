"""Log-mel and MFCC: agreement with librosa, and independence of padding."""

import librosa
import numpy as np
import pytest
import torch
from helpers.sound import white_noise

from data_contracts.errors import UsageError
from features.dsp import mel, spectrum
from features.dsp.mel import MelConfig, log_mel, mfcc

RATE = 16_000


@pytest.fixture
def noise(device):
    return white_noise(3, RATE).to(device)


def lengths_of(waveform):
    return torch.full((len(waveform),), waveform.shape[1], device=waveform.device)


def test_shape(noise):
    values, n_frames = log_mel(noise, lengths_of(noise))
    assert values.shape == (3, 98, 80)
    assert values.dtype == torch.float32
    assert values.device == noise.device
    assert n_frames.tolist() == [98] * 3
    assert mfcc(values).shape == (3, 98, 13)


def test_batch_matches_single(noise):
    lengths = torch.tensor([RATE, 9000, 300], device=noise.device)
    together, n_together = log_mel(noise, lengths)
    for row, length in enumerate(lengths):
        alone, n_alone = log_mel(noise[row : row + 1, :length], lengths[row : row + 1])
        assert n_alone == n_together[row]
        torch.testing.assert_close(alone[0], together[row, : n_alone[0]], rtol=1e-5, atol=1e-5)


def test_padding_is_ignored(noise):
    lengths = torch.tensor([RATE, 9000, 300], device=noise.device)
    loud = noise.clone()
    loud[1, 9000:], loud[2, 300:] = 5.0, float("nan")
    values, n_frames = log_mel(loud, lengths)
    expected, _ = log_mel(noise, lengths)
    assert torch.equal(values, expected)
    assert (values[1, n_frames[1] :] == 0).all()
    assert (values[2, 1:] == 0).all()


def test_chunks_change_nothing(noise, monkeypatch):
    whole, _ = log_mel(noise, lengths_of(noise))
    monkeypatch.setitem(spectrum.CHUNK_FRAMES, noise.device.type, 21)  # seven frames of three rows at a time
    chunked, _ = log_mel(noise, lengths_of(noise))
    torch.testing.assert_close(chunked, whole, rtol=1e-5, atol=1e-5)


def test_silence_and_constant(device):
    waveform = torch.stack([torch.zeros(800), torch.full((800,), 0.5)]).to(device)
    values, _ = log_mel(waveform, lengths_of(waveform))
    torch.testing.assert_close(values[0], torch.full_like(values[0], np.log(mel.FLOOR)))
    assert values.isfinite().all()
    assert (values[1].argmax(-1) == 0).all()  # a constant stands in the lowest band; of the rest, the window's lobes
    assert (values[1, :, 0] - values[1, :, 10:].amax(-1) > 10).all()


def test_pure_tone_lights_the_band_around_it(device):
    time_s = torch.arange(RATE, device=device) / RATE
    centres_hz = librosa.mel_frequencies(82, fmin=20, fmax=7600)[1:-1]
    for hz in (300.0, 1000.0, 4000.0):
        values, _ = log_mel(torch.sin(2 * torch.pi * hz * time_s)[None], torch.tensor([RATE], device=device))
        assert values[0, 50].argmax().item() == np.abs(centres_hz - hz).argmin()


def test_matches_librosa(noise):
    """Within 1e-4 in log power; librosa centres its window in n_fft, 56 samples behind ours."""
    values, _ = log_mel(noise, lengths_of(noise))
    expected = librosa.feature.melspectrogram(
        y=np.pad(noise[0].cpu().numpy(), (56, 56)),
        sr=RATE, n_fft=512, win_length=400, hop_length=160, center=False, n_mels=80, fmin=20, fmax=7600,
    )  # fmt: skip
    np.testing.assert_allclose(values[0].cpu().T, np.log(expected), atol=1e-4)
    cepstra = librosa.feature.mfcc(S=np.log(expected), n_mfcc=13, dct_type=2, norm="ortho")
    np.testing.assert_allclose(mfcc(values)[0].cpu().T, cepstra, atol=1e-3)


@pytest.mark.parametrize(("config", "rate"), [(MelConfig(), 8000), (MelConfig(n_fft=256), RATE)])
def test_bands_and_windows_that_do_not_fit_are_refused(config, rate):
    with pytest.raises(UsageError, match="expected"):
        log_mel(torch.zeros(1, 800), torch.tensor([800]), config=config, sample_rate=rate)


def test_more_cepstra_than_bands_are_refused():
    with pytest.raises(UsageError, match="fewer coefficients"):
        mfcc(torch.zeros(1, 4, 8))


def test_fingerprint_follows_the_configuration():
    assert MelConfig().fingerprint() == MelConfig().fingerprint() != MelConfig(n_mels=40).fingerprint()
