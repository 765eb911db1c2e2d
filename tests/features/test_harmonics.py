"""What harmonics say: tones in noise of a known level, harmonics of known heights, and Praat's ordering."""

import math

import numpy as np
import parselmouth
import pytest
import torch

from features import f0
from features.harmonics import MISSING_DB, REACH, harmonics_to_noise_db, levels_db

RATE, HOP, WINDOW = 16_000, 160, 960


def power_of(waveform):
    """Of all frames of 60 ms of (time,)."""
    return f0.harmonic_power(waveform.unfold(-1, WINDOW, HOP), sample_rate=RATE)


def hnr_of(waveform, **options):
    return harmonics_to_noise_db(power_of(waveform), sample_rate=RATE, **options)


def voice(hz, n_harmonics, seconds=2.0):
    """Harmonics of equal height and scattered phase, at a root mean square of 0.1."""
    phase = 2 * torch.pi * hz * torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    wave = sum(torch.cos(k * phase + k * k) for k in range(1, n_harmonics + 1))
    return (0.1 * wave / wave.square().mean().sqrt()).float()


def noise(seconds=2.0, seed=0):
    return 0.1 * torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(seed))


def in_noise(hz, snr_db):
    return voice(hz, 7000 // hz) + 10 ** (-snr_db / 20) * noise()


def expected_hnr_db(hz, snr_db):
    """The tone's share of the energy, seen through the autocorrelation of the Gaussian taper one period apart."""
    sigma_s = f0.SIGMA * f0.FRAME_S / 2
    share = math.exp(-1 / (4 * (hz * sigma_s) ** 2)) / (1 + 10 ** (-snr_db / 10))
    return 10 * math.log10(share / (1 - share))


def test_shape_and_batch_matches_single(device):
    power = power_of(in_noise(200, 10).to(device))[:3]
    formants_hz = torch.tensor([[500.0, 1500.0, 2500.0]] * 3, device=device)
    hz = torch.full((3,), 200.0, device=device)
    together = (harmonics_to_noise_db(power, sample_rate=RATE), *levels_db(power, hz, formants_hz, sample_rate=RATE))
    assert [values.shape for values in together] == [(3,), (3,), (3,), (3, 3)]
    for row in range(3):
        one = slice(row, row + 1)
        alone = levels_db(power[one], hz[one], formants_hz[one], sample_rate=RATE)
        for single, batch in zip((harmonics_to_noise_db(power[one], sample_rate=RATE), *alone), together, strict=True):
            torch.testing.assert_close(single[0], batch[row], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("hz", [100, 200, 400])  # periods of whole samples
@pytest.mark.parametrize("snr_db", [0, 5, 10, 20])
def test_hnr_of_a_voice_in_noise_is_that_of_theory(hz, snr_db, device):
    """Within half a decibel on average; the taper alone sets a ceiling, 7 dB at 100 Hz and 19 dB at 400 Hz."""
    found = hnr_of(in_noise(hz, snr_db).to(device)).mean().item()
    assert found == pytest.approx(expected_hnr_db(hz, snr_db), abs=0.5)


@pytest.mark.parametrize("hz", [130.0, 150.0, 170.0, 210.0])
def test_hnr_of_a_period_between_samples_is_that_of_theory(hz, device):
    """Six harmonics: a period that ends between two samples must cost less than 1 dB."""
    found = hnr_of((voice(hz, 6) + 0.1 * noise()).to(device)).mean().item()
    assert found == pytest.approx(expected_hnr_db(hz, 20), abs=1)


def test_hnr_does_not_hear_the_level(device):
    voiced = in_noise(200, 10).to(device)
    torch.testing.assert_close(hnr_of(0.1 * voiced), hnr_of(voiced), rtol=1e-3, atol=1e-2)


def test_noise_is_below_every_voice_and_silence_at_the_floor(device):
    assert hnr_of(noise().to(device)).mean() < -5
    assert hnr_of(torch.zeros(2000, device=device)).tolist() == pytest.approx([-100] * 7, abs=0.1)
    assert hnr_of(torch.full((2000,), 0.5, device=device)).isfinite().all()
    assert hnr_of((30 * in_noise(200, 20)).clamp(-1, 1).to(device)).isfinite().all()


def test_levels_are_those_of_the_harmonics_put_in(device):
    """Each harmonic 3 dB below the one before: the highest within reach of a formant is the lowest that is."""
    phase = 2 * torch.pi * 200 * torch.arange(RATE, dtype=torch.float64) / RATE
    wave = sum(10 ** (-3 * (k - 1) / 20) * torch.cos(k * phase) for k in range(1, 26))
    power = power_of((0.05 * wave).float().to(device))
    n = len(power)
    formants_hz = torch.tensor([[610.0, 1590.0, 2620.0]] * n, device=device)
    h1_h2, h1_a3, at_formants = levels_db(power, torch.full((n,), 200.0, device=device), formants_hz, sample_rate=RATE)
    lowest = [math.ceil((1 - REACH) * hz / 200) for hz in (610, 1590, 2620)]
    np.testing.assert_allclose(at_formants.cpu().mean(0), [-3 * (k - 1) for k in lowest], atol=1)
    # harmonics are counted from 0: H1 and H2 are the second and the third
    assert h1_h2.mean().item() == pytest.approx(3, abs=1)
    assert h1_a3.mean().item() == pytest.approx(3 * (lowest[2] - 2), abs=1)


def test_a_formant_that_is_not_there_has_no_level(device):
    power = power_of(voice(200, 20).to(device))[:2]
    formants_hz = torch.tensor([[500.0, 1500.0, 0.0], [0.0, 0.0, 0.0]], device=device)
    h1_h2, h1_a3, at_formants = levels_db(power, torch.full((2,), 200.0, device=device), formants_hz, sample_rate=RATE)
    assert (at_formants == MISSING_DB).tolist() == [[False, False, True], [True, True, True]]
    assert torch.stack([h1_h2, h1_a3]).isfinite().all()


def test_levels_do_not_hear_the_level(device):
    hz, formants_hz = torch.tensor([200.0], device=device), torch.tensor([[600.0, 1400.0, 2600.0]], device=device)
    plain, louder = (power_of(gain * in_noise(200, 10).to(device))[:1] for gain in (1.0, 5.0))
    for one, other in zip(
        levels_db(plain, hz, formants_hz, sample_rate=RATE), levels_db(louder, hz, formants_hz, sample_rate=RATE),
        strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(other, one, rtol=0, atol=1e-2)


def test_harmonics_beyond_the_band_and_silence_are_finite(device):
    power = torch.cat([torch.zeros(1, 513, device=device), power_of(voice(900, 8).to(device))[:1]])
    hz = torch.tensor([55.0, 1000.0], device=device)
    formants_hz = torch.tensor([[300.0, 5000.0, 7999.0], [300.0, 700.0, 7999.0]], device=device)
    for values in levels_db(power, hz, formants_hz, sample_rate=RATE):
        assert values.isfinite().all()


def praat_hnr(waveform):
    """Praat's harmonicity in dB at the middle of each of our frames; nan where it hears no voice."""
    harmonicity = parselmouth.Sound(waveform.double().numpy(), RATE).to_harmonicity_cc(time_step=0.01, minimum_pitch=75)
    n = 1 + (len(waveform) - WINDOW) // HOP
    values = np.array([harmonicity.get_value((HOP * frame + WINDOW / 2) / RATE) for frame in range(n)])
    return np.where(values > -100, values, np.nan)


def test_orders_noisy_voices_as_praat_does():
    for hz in (110, 200, 330):
        voices = [in_noise(hz, snr_db) for snr_db in (2, 5, 9, 14, 20)]
        mine = [hnr_of(wave).mean().item() for wave in voices]
        praat = [np.nanmean(praat_hnr(wave)) for wave in voices]
        assert np.corrcoef(mine, praat)[0, 1] > 0.9
        assert mine == sorted(mine)


@pytest.mark.corpora
def test_correlates_with_praat_on_speech(speech):
    """Over voiced frames at 0.3 and more, on average of the clips: Praat's windows are shorter, its lags finer."""
    agreement = []
    for clip in speech:
        mine, praat = hnr_of(clip).numpy(), praat_hnr(clip)
        voiced = np.isfinite(praat) & (praat > 0)
        agreement.append(np.corrcoef(mine[voiced], praat[voiced])[0, 1])
    assert np.mean(agreement) > 0.3
