"""Harmonics: tones in noise of a known level, harmonics of known heights, and Praat's ordering."""

import math

import numpy as np
import parselmouth
import pytest
import torch
from helpers.sound import white_noise

from features.dsp import subharmonics
from features.dsp.f0 import f0_track
from features.dsp.harmonics import FORMANT_REACH, MAX_HARMONIC_HZ, MISSING_DB, harmonic_levels_db, harmonics_to_noise_db

RATE, HOP, WINDOW = 16_000, 160, 960


def power_of(waveform):
    """Power of all frames of 60 ms of (time,)."""
    return subharmonics.harmonic_power(waveform.unfold(-1, WINDOW, HOP), sample_rate=RATE)


def hnr_of(waveform, hz):
    """HNR of all frames of (time,), read at the period of one pitch."""
    power = power_of(waveform)
    return harmonics_to_noise_db(power, torch.full_like(power[:, 0], hz), sample_rate=RATE)


def voice(hz, n_harmonics, seconds=2.0):
    """Harmonics of equal height and scattered phase, at a root mean square of 0.1."""
    phase = 2 * torch.pi * hz * torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    wave = sum(torch.cos(k * phase + k * k) for k in range(1, n_harmonics + 1))
    return (0.1 * wave / wave.square().mean().sqrt()).float()


def voice_in_noise(hz, snr_db):
    return voice(hz, 7000 // hz) + white_noise(2 * RATE, level=0.1 * 10 ** (-snr_db / 20))


def hnr_db(share):
    return 10 * math.log10(share / (1 - share))


def taper_share(hz):
    """The autocorrelation of the Gaussian taper one period apart."""
    sigma_s = subharmonics.SIGMA * subharmonics.FRAME_S / 2
    return math.exp(-1 / (4 * (hz * sigma_s) ** 2))


def expected_hnr_db(hz, snr_db):
    """The tone's share of the energy, seen through the taper."""
    return hnr_db(taper_share(hz) / (1 + 10 ** (-snr_db / 10)))


def test_shape_and_batch_matches_single(device):
    """Pitches an octave and a half apart, so that a batch reads lags and harmonics that no row alone would."""
    pitches = (110, 200, 330)
    power = torch.cat([power_of(voice_in_noise(hz, 10).to(device))[:1] for hz in pitches])
    hz = torch.tensor(pitches, device=device).float()
    formants_hz = torch.tensor([[500.0, 1500.0, 2500.0]] * 3, device=device)

    def of(rows):
        levels = harmonic_levels_db(power[rows], hz[rows], formants_hz[rows], sample_rate=RATE)
        return harmonics_to_noise_db(power[rows], hz[rows], sample_rate=RATE), *levels

    together = of(slice(None))
    assert [values.shape for values in together] == [(3,), (3,), (3,), (3, 3)]
    for row in range(3):
        for single, batch in zip(of(slice(row, row + 1)), together, strict=True):
            torch.testing.assert_close(single[0], batch[row], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("hz", [100, 200, 400])  # periods of whole samples
@pytest.mark.parametrize("snr_db", [0, 5, 10, 20])
def test_hnr_of_a_voice_in_noise_is_that_of_theory(hz, snr_db, device):
    """Within 0.2 dB on average; the taper alone sets a ceiling, 7 dB at 100 Hz and 19 dB at 400 Hz."""
    found = hnr_of(voice_in_noise(hz, snr_db).to(device), hz).mean().item()
    assert found == pytest.approx(expected_hnr_db(hz, snr_db), abs=0.2)


@pytest.mark.parametrize("hz", [130.0, 150.0, 170.0, 210.0])
def test_hnr_of_a_period_between_samples_is_that_of_theory(hz, device):
    """Six harmonics: to read the sample next to a period that ends between two costs less than half a decibel."""
    found = hnr_of((voice(hz, 6) + white_noise(2 * RATE, level=0.01)).to(device), hz).mean().item()
    assert found == pytest.approx(expected_hnr_db(hz, 20), abs=0.5)


@pytest.mark.parametrize("asked_hz", [170, 185, 220, 235])
def test_hnr_is_read_at_the_maximum_near_the_period(asked_hz, device):
    """A pitch that is off by a few semitones is still read at the tone's own period."""
    tone = (voice(200, 1) + white_noise(2 * RATE, level=0.01)).to(device)
    assert torch.equal(hnr_of(tone, asked_hz), hnr_of(tone, 200))


def test_hnr_is_read_at_the_given_period(device):
    """A voice of 200 Hz repeats every 10 ms too, where the taper has left less of it."""
    found = hnr_of(voice_in_noise(200, 20).to(device), 100).mean().item()
    assert found == pytest.approx(expected_hnr_db(100, 20), abs=0.2)


def test_hnr_without_a_maximum_around_is_that_at_the_period(device):
    """100 Hz read at 1 kHz: the cosine falls all the way, a tenth of a turn off its top."""
    found = hnr_of(voice(100, 1).to(device), 1000).mean().item()
    assert found == pytest.approx(hnr_db(taper_share(1000) * math.cos(2 * math.pi / 10)), abs=0.1)


def test_hnr_does_not_depend_on_the_level(device):
    voiced = voice_in_noise(200, 10).to(device)
    torch.testing.assert_close(hnr_of(0.1 * voiced, 200), hnr_of(voiced, 200), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("hz", [60, 150, 500])
def test_noise_is_below_every_voice_and_silence_at_the_floor(hz, device):
    assert hnr_of(white_noise(2 * RATE).to(device), hz).mean() < -20
    assert hnr_of(torch.zeros(2000, device=device), hz).tolist() == pytest.approx([-100] * 7, abs=0.1)
    assert hnr_of(torch.full((2000,), 0.5, device=device), hz).isfinite().all()
    assert hnr_of((30 * voice_in_noise(200, 20)).clamp(-1, 1).to(device), hz).isfinite().all()


def sum_harmonics(hz, step_db, n_harmonics):
    """Each harmonic that much above the one before."""
    phase = 2 * torch.pi * hz * torch.arange(RATE, dtype=torch.float64) / RATE
    return 0.05 * sum(10 ** (step_db * (k - 1) / 20) * torch.cos(k * phase) for k in range(1, n_harmonics + 1)).float()


@pytest.mark.parametrize(("hz", "within_db"), [(203.125, 0.1), (187.5, 0.1), (200.0, 0.6), (210.0, 1.1)])
def test_levels_are_those_of_the_harmonics_put_in(hz, within_db, device):
    """Each harmonic 3 dB below the one before: the highest within reach of a formant is the lowest that is.

    To a tenth of a decibel where F0 lies on a bin; else its own level, the plain magnitude, comes out up to 1 dB low.
    """
    power = power_of(sum_harmonics(hz, -3, 25).to(device))
    n = len(power)
    formants_hz = torch.tensor([[610.0, 1590.0, 2620.0]] * n, device=device)
    h1_h2, h1_a3, at_formants = harmonic_levels_db(
        power, torch.full((n,), hz, device=device), formants_hz, sample_rate=RATE
    )
    lowest = [math.ceil((1 - FORMANT_REACH) * formant / hz) for formant in (610, 1590, 2620)]
    np.testing.assert_allclose(at_formants.cpu().mean(0), [-3 * (k - 1) for k in lowest], atol=within_db)
    # harmonics are counted from 0: H1 and H2 are the second and the third
    assert h1_h2.mean().item() == pytest.approx(3, abs=within_db)
    assert h1_a3.mean().item() == pytest.approx(3 * (lowest[2] - 2), abs=within_db)


def test_harmonics_above_the_limit_do_not_count_for_formants(device):
    """Each 2 dB above the one before: of those within reach of a formant at 5 kHz, up to 6, the one at 5.5 counts."""
    power = power_of(sum_harmonics(500, 2, 14).to(device))[:1]
    formants_hz = torch.tensor([[1000.0, 5000.0, 7500.0]], device=device)
    _, _, levels = harmonic_levels_db(power, torch.tensor([500.0], device=device), formants_hz, sample_rate=RATE)
    assert levels[0].tolist() == pytest.approx([2, 2 * (MAX_HARMONIC_HZ / 500 - 1), MISSING_DB], abs=0.2)


def test_a_missing_formant_has_no_level(device):
    power = power_of(voice(200, 20).to(device))[:2]
    formants_hz = torch.tensor([[500.0, 1500.0, 0.0], [0.0, 0.0, 0.0]], device=device)
    h1_h2, h1_a3, at_formants = harmonic_levels_db(
        power, torch.full((2,), 200.0, device=device), formants_hz, sample_rate=RATE
    )
    assert (at_formants == MISSING_DB).tolist() == [[False, False, True], [True, True, True]]
    assert torch.stack([h1_h2, h1_a3]).isfinite().all()


def test_a_harmonic_without_a_peak_of_its_own_is_missing(device):
    """At 70 Hz a clip's mean H1-H2 was 2 dB here and -18 dB in eGeMAPSv02: H1 took the peak that is H2's."""
    low = torch.tensor([70.0], device=device)
    smooth = torch.ones(1, 513, device=device)  # no peak but those that are put in
    per_bin = RATE / 2 / (smooth.shape[1] - 1)
    smooth[0, round(70 / per_bin)] = smooth[0, round(210 / per_bin)] = 100.0
    h1_h2, h1_a3, _ = harmonic_levels_db(
        smooth, low, torch.tensor([[210.0, 210.0, 210.0]], device=device), sample_rate=RATE
    )
    assert h1_h2.item() == pytest.approx(MISSING_DB, abs=1)
    assert h1_a3.item() == pytest.approx(MISSING_DB, abs=1)


def test_harmonic_levels_do_not_depend_on_the_level(device):
    hz, formants_hz = torch.tensor([200.0], device=device), torch.tensor([[600.0, 1400.0, 2600.0]], device=device)
    plain, louder = (power_of(gain * voice_in_noise(200, 10).to(device))[:1] for gain in (1.0, 5.0))
    levels = (harmonic_levels_db(power, hz, formants_hz, sample_rate=RATE) for power in (plain, louder))
    for one, other in zip(*levels, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-2)


def test_harmonics_beyond_the_band_and_silence_are_finite(device):
    power = torch.cat([torch.zeros(1, 513, device=device), power_of(voice(900, 8).to(device))[:1]])
    hz = torch.tensor([55.0, 1000.0], device=device)
    formants_hz = torch.tensor([[300.0, 5000.0, 7999.0], [300.0, 700.0, 7999.0]], device=device)
    for values in harmonic_levels_db(power, hz, formants_hz, sample_rate=RATE):
        assert values.isfinite().all()


def praat_hnr(waveform):
    """Praat's harmonicity in dB at the middle of each of our frames; nan where it hears no voice."""
    harmonicity = parselmouth.Sound(waveform.double().numpy(), RATE).to_harmonicity_cc(time_step=0.01, minimum_pitch=75)
    n = 1 + (len(waveform) - WINDOW) // HOP
    values = np.array([harmonicity.get_value((HOP * frame + WINDOW / 2) / RATE) for frame in range(n)])
    return np.where(values > -100, values, np.nan)


def test_orders_noisy_voices_as_praat_does():
    for hz in (110, 200, 330):
        voices = [voice_in_noise(hz, snr_db) for snr_db in (2, 5, 9, 14, 20)]
        mine = [hnr_of(wave, hz).mean().item() for wave in voices]
        praat = [np.nanmean(praat_hnr(wave)) for wave in voices]
        assert np.corrcoef(mine, praat)[0, 1] > 0.9
        assert mine == sorted(mine)


@pytest.mark.corpora
def test_correlates_with_praat_on_speech(speech):
    """At 0.6 and more on average of the clips, 0.4 in each, over our voiced frames in which Praat too hears voice.

    Praat divides the taper's autocorrelation out and ours does not; its windows are shorter, its lags finer.
    """
    agreement = []
    for clip in speech:
        f0_hz = f0_track(clip[None], torch.tensor([len(clip)])).f0_hz[0]
        both = (f0_hz > 0) & (torch.from_numpy(praat_hnr(clip)) > 0)
        mine = harmonics_to_noise_db(power_of(clip)[both], f0_hz[both], sample_rate=RATE)
        agreement.append(np.corrcoef(mine, praat_hnr(clip)[both])[0, 1])
    assert np.mean(agreement) > 0.6
    assert min(agreement) > 0.4
