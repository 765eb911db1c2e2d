"""Noise suppression that keeps speech."""

import numpy as np
import pytest
from helpers.sound import noise_array
from scipy.signal import butter, sosfilt

from data_contracts.errors import UsageError
from features.decode.conditioning import DenoiseConfig, denoise

RATE = 16_000
CONFIG = DenoiseConfig()


def tone(hz, seconds=4.0, rate=RATE):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def syllables(seconds=4.0, rate=RATE):
    """A vowel's harmonics, on and off, with pauses of digital silence."""
    vowel = sum(tone(140 * nth, seconds, rate) / nth for nth in range(1, 25) if 140 * nth < rate / 2)
    return 0.1 * vowel * np.clip(np.sin(2 * np.pi * 1.5 * np.arange(len(vowel)) / rate) * 3, 0, 1)


def denoise_samples(samples, rate=RATE, config=CONFIG):
    return denoise(np.asarray(samples, np.float32), rate, config=config)


def si_sdr_db(reference, found):
    scaled = reference * (reference @ found) / (reference @ reference)
    return 10 * np.log10(scaled @ scaled / np.square(found - scaled).sum())


def segmental_snr_db(clean, found):
    """Mean over frames of 32 ms that hold speech, each from -10 to 35 dB."""
    n = len(clean) // 512 * 512
    speech = np.square(clean[:n]).reshape(-1, 512).sum(axis=1)
    error = np.square(found[:n] - clean[:n]).reshape(-1, 512).sum(axis=1)
    active = speech > 1e-4 * speech.max()
    return np.clip(10 * np.log10(speech[active] / error[active]), -10, 35).mean()


@pytest.mark.parametrize("n", [1, 15_999, 16_000, 16_001, 30_123])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_the_length_is_kept(n, rate):
    samples = (noise_array(n)).astype(np.float32)
    kept = samples.copy()
    found = denoise_samples(samples, rate)
    assert (found.shape, found.dtype) == (samples.shape, np.float32)
    np.testing.assert_array_equal(samples, kept)
    np.testing.assert_array_equal(found, denoise_samples(samples, rate))
    if n < rate:
        np.testing.assert_array_equal(found, samples)  # too short to know its noise


def test_silence_and_constant():
    np.testing.assert_array_equal(denoise_samples(np.zeros(2 * RATE)), np.zeros(2 * RATE))
    assert denoise_samples(np.zeros(0)).shape == (0,)
    assert np.isfinite(denoise_samples(np.full(2 * RATE, 0.3))).all()


@pytest.mark.parametrize("size", [3e38, 1e-45])
def test_extremes_do_not_raise(size):
    assert denoise_samples(np.full(2 * RATE, size)).shape == (2 * RATE,)
    wild = (size * np.sign(noise_array(2 * RATE))).astype(np.float32)
    assert denoise_samples(wild).shape == wild.shape


def test_noise_alone_is_turned_down():
    samples = noise_array(5 * RATE, level=0.05)
    gain_db = 10 * np.log10(np.square(denoise_samples(samples)).mean() / np.square(samples).mean())
    assert -15 < gain_db < -10


def test_the_floor_is_never_passed():
    samples = noise_array(5 * RATE, level=0.05)
    for floor_db in (-6.0, 0.0):
        gain_db = 10 * np.log10(
            np.square(denoise_samples(samples, config=DenoiseConfig(floor_db=floor_db))).mean() / 0.05**2
        )
        assert floor_db - 0.1 < gain_db <= 0.1
    np.testing.assert_allclose(denoise_samples(samples, config=DenoiseConfig(floor_db=0.0)), samples, atol=1e-6)


def test_the_level_does_not_matter():
    samples = (syllables() + noise_array(4 * RATE, level=0.02)).astype(np.float32)
    np.testing.assert_allclose(denoise_samples(0.01 * samples), 0.01 * denoise_samples(samples), atol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_speech_in_white_noise_gains_3_db(rate):
    clean = syllables(rate=rate)
    disturbed = clean + noise_array(len(clean), level=clean.std() * 10 ** (-5 / 20))
    found = denoise_samples(disturbed, rate)
    assert si_sdr_db(clean, found) > si_sdr_db(clean, disturbed) + 3
    assert segmental_snr_db(clean, found) > segmental_snr_db(clean, disturbed) + 3


def test_clean_speech_stays():
    clean = syllables()
    assert si_sdr_db(clean, denoise_samples(clean)) > 20
    assert si_sdr_db(clean, denoise_samples(clean + noise_array(len(clean), level=1e-4))) > 20


@pytest.mark.corpora
def test_real_speech(speech):
    """Above 80 Hz: some recordings are half hum, and that is to go."""
    high_pass = butter(4, 80, "highpass", fs=RATE, output="sos")
    for waveform in speech:
        clean = waveform.numpy()
        heard = sosfilt(high_pass, clean.astype(np.float64))
        assert si_sdr_db(heard, sosfilt(high_pass, denoise_samples(clean).astype(np.float64))) > 15
        disturbed = heard + noise_array(len(heard), level=heard.std() * 10 ** (-5 / 20))
        assert segmental_snr_db(heard, denoise_samples(disturbed)) > segmental_snr_db(heard, disturbed) + 3


def test_wrong_arguments_are_named():
    with pytest.raises(UsageError, match="noise_quantile"):
        DenoiseConfig(noise_quantile=0)
    with pytest.raises(UsageError, match="frame_s"):
        DenoiseConfig(frame_s=1.0)


def test_fingerprint_follows_the_configuration():
    assert DenoiseConfig().fingerprint() == DenoiseConfig().fingerprint() != DenoiseConfig(floor_db=-9).fingerprint()
