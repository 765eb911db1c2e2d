"""Formants: resonators of known frequency and bandwidth, and agreement with Praat."""

import math

import numpy as np
import parselmouth
import pytest
import torch
from helpers.sound import white_noise
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import UsageError
from features.dsp import frames, spectrum
from features.dsp.formants import N_FORMANTS, formant_track, linear_prediction

RATE, HOP, WINDOW = 16_000, 160, 800
VOWEL_HZ, VOWEL_WIDTHS_HZ = (600, 1200, 2500, 3500, 4500), (80, 100, 120, 150, 200)


def track(waveform, **options):
    return formant_track(waveform[None], torch.tensor([len(waveform)], device=waveform.device), **options)


def medians(waveform, **options):
    """Median frequency and bandwidth of each formant, in Hz."""
    found = track(waveform, **options)
    return (values[0, 5:-5].median(0).values.tolist() for values in found)


@pytest.fixture
def mixed(device, vowels):
    """Rows of vowels and noise, and their lengths."""
    waveform = torch.stack([vowels[0], vowels[1] + white_noise(RATE, level=0.01), white_noise(RATE, seed=1)])
    return waveform.to(device), torch.tensor([RATE, 9000, 300], device=device)


def test_shape(mixed):
    frequency_hz, bandwidth_hz = formant_track(*mixed)
    assert frequency_hz.shape == bandwidth_hz.shape == (3, frames.max_frames(RATE, window=WINDOW, hop=HOP), N_FORMANTS)
    assert frequency_hz.dtype == bandwidth_hz.dtype == torch.float32
    assert (frequency_hz[0].diff(dim=-1) > 0).all()  # the lowest first
    assert ((frequency_hz >= 0) & (frequency_hz <= 5500)).all()
    assert (bandwidth_hz >= 0).all()


@pytest.mark.parametrize("size", [1, 3])
def test_batch_matches_single(mixed, size):
    waveform, lengths = mixed[0][:size], mixed[1][:size]
    together = formant_track(waveform, lengths)
    for row, length in enumerate(lengths):
        for alone, batch in zip(track(waveform[row, :length]), together, strict=True):
            torch.testing.assert_close(alone[0], batch[row, : alone.shape[1]], rtol=1e-3, atol=0.5)


def test_padding_is_ignored(mixed):
    waveform, lengths = mixed
    loud = waveform.clone()
    loud[1, 9000:], loud[2, 300:] = 3.0, float("nan")
    for quiet, noisy in zip(formant_track(waveform, lengths), formant_track(loud, lengths), strict=True):
        assert torch.equal(quiet, noisy)
        assert not quiet[2, 1:].any()


def test_chunks_change_nothing(mixed, monkeypatch):
    whole = formant_track(*mixed)
    monkeypatch.setitem(spectrum.CHUNK_FRAMES, mixed[0].device.type, 33)
    for chunked, expected in zip(formant_track(*mixed), whole, strict=True):
        torch.testing.assert_close(chunked, expected, rtol=1e-3, atol=0.5)


@pytest.mark.parametrize("level", [0.0, 0.5, -1.0, 1e-6])
def test_silence_and_constant(level, device):
    for values in track(torch.full((8000,), level, device=device)):
        assert not values.any()


@pytest.mark.parametrize(("hz", "width_hz"), [(500, 60), (500, 120), (1500, 100), (2500, 200)])
@pytest.mark.parametrize("source", ["pulses", "noise"])
def test_a_resonator_has_its_frequency_and_bandwidth(source, hz, width_hz, pulses, resonate, device):
    """Within 3 % and 30 %, the narrowest pole of four: the others but trace what is left of the source's tilt."""
    excitation = pulses(50) if source == "pulses" else white_noise(3 * RATE)
    frequency_hz, bandwidth_hz = medians(resonate(excitation, (hz,), (width_hz,)).to(device), n_poles=4)
    narrowest = min(range(N_FORMANTS), key=lambda pole: bandwidth_hz[pole] or math.inf)
    assert frequency_hz[narrowest] == pytest.approx(hz, rel=0.03)
    assert bandwidth_hz[narrowest] == pytest.approx(width_hz, rel=0.3)


@pytest.mark.parametrize("source", ["pulses", "noise"])
def test_a_vowel_has_its_formants(source, pulses, resonate, device):
    """Frequencies within 3 %; bandwidths within a factor of 1.75, as Praat's: a frame of 50 ms holds five periods."""
    excitation = pulses(100) if source == "pulses" else white_noise(3 * RATE)
    frequency_hz, bandwidth_hz = medians(resonate(excitation, VOWEL_HZ, VOWEL_WIDTHS_HZ).to(device))
    np.testing.assert_allclose(frequency_hz, VOWEL_HZ[:3], rtol=0.03)
    np.testing.assert_allclose(np.log(bandwidth_hz), np.log(VOWEL_WIDTHS_HZ[:3]), rtol=0, atol=np.log(1.75))


def test_a_wider_resonance_has_a_wider_bandwidth(pulses, resonate, device):
    widths = []
    for width_hz in (60, 120, 240):
        _, bandwidth_hz = medians(resonate(pulses(100), VOWEL_HZ, (width_hz, *VOWEL_WIDTHS_HZ[1:])).to(device))
        widths.append(bandwidth_hz[0])
    assert widths[0] < widths[1] < widths[2]


def test_a_formant_that_moves_is_followed(resonate, device):
    """F1 from 300 to 800 Hz in ten steps of 100 ms, each step's middle within 5 %."""
    targets_hz = np.linspace(300, 800, 10)
    parts = [
        resonate(white_noise(RATE // 10, seed=n), (hz, *VOWEL_HZ[1:]), VOWEL_WIDTHS_HZ)
        for n, hz in enumerate(targets_hz)
    ]
    frequency_hz, _ = track(torch.cat(parts).to(device))
    found = [frequency_hz[0, 10 * n : 10 * n + 6, 0].median().item() for n in range(10)]
    np.testing.assert_allclose(found, targets_hz, rtol=0.1)
    assert np.median(np.abs(found / targets_hz - 1)) < 0.05


@pytest.mark.parametrize("gain", [0.001, 2.0])
def test_the_level_changes_no_formant(gain, vowels, device):
    vowel = vowels[0].to(device)
    for plain, other in zip(track(vowel), track(gain * vowel), strict=True):
        torch.testing.assert_close(other, plain, rtol=1e-3, atol=0.5)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_a_non_finite_sample_changes_only_the_frames_around_it(broken, vowels, device):
    vowel = vowels[0].to(device)
    spoilt = vowel.clone()
    spoilt[8000] = broken
    for expected, found in zip(track(vowel), track(spoilt), strict=True):
        assert found.isfinite().all()
        torch.testing.assert_close(found[0, :40], expected[0, :40], rtol=1e-3, atol=0.5)
        torch.testing.assert_close(found[0, 55:], expected[0, 55:], rtol=1e-3, atol=0.5)


def test_clipping_and_pure_tones_are_finite(vowels, device):
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(RATE) / RATE)
    for waveform in ((30 * vowels[0]).clamp(-1, 1), tone, tone.sign()):
        for values in track(waveform.to(device)):
            assert values.isfinite().all()


@given(length=st.integers(0, 2500))
@settings(max_examples=20)
def test_number_of_frames_of_any_length(length):
    found = track(white_noise(RATE)[:length])
    assert found.frequency_hz.shape == (1, frames.max_frames(length, window=WINDOW, hop=HOP), N_FORMANTS)
    assert all(values.isfinite().all() for values in found)


@pytest.mark.parametrize("rate", [11_025, 44_100])
def test_other_sample_rates_give_the_same(rate, vowels, device):
    """Frequencies of a resampled vowel agree within 2 %."""
    at_rate = parselmouth.Sound(vowels[0].double().numpy(), RATE).resample(rate).values[0]
    waveform = torch.from_numpy(at_rate).float().to(device)
    found = track(waveform, sample_rate=rate).frequency_hz[0, 5:-5].median(0).values
    expected = track(vowels[0].to(device)).frequency_hz[0, 5:-5].median(0).values
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0)


@pytest.mark.parametrize("max_hz", [500, 8001, float("nan")])
def test_a_band_beyond_the_sample_rate_is_refused(max_hz):
    with pytest.raises(UsageError, match="lower it or resample"):
        track(torch.zeros(800), max_hz=max_hz)


def test_a_missing_batch_dimension_is_refused():
    with pytest.raises(UsageError, match="add the batch dimension"):
        formant_track(torch.zeros(800), torch.tensor([800]))


def test_linear_prediction_solves_the_normal_equations(device):
    """Levinson's recursion against the Toeplitz system solved as a whole."""
    power = torch.fft.rfft(white_noise(RATE).view(20, -1), n=2048).abs().square()
    correlation = torch.fft.irfft(power)[:, :11].to(device)
    found = linear_prediction(correlation)
    lags = (torch.arange(10)[:, None] - torch.arange(10)).abs()
    expected = -torch.linalg.solve(correlation[:, lags.to(device)], correlation[:, 1:])
    assert (found[:, 0] == 1).all()
    torch.testing.assert_close(found[:, 1:], expected, rtol=1e-3, atol=1e-4)


def against_praat(waveform):
    """(frames, N_FORMANTS): how far our frequency is from Praat's, relative, where it hears a voice."""
    mine = track(waveform).frequency_hz[0].numpy()
    sound = parselmouth.Sound(waveform.double().numpy(), RATE)
    burg = sound.to_formant_burg(time_step=0.01, max_number_of_formants=5, maximum_formant=5500, window_length=0.025)
    pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=75, pitch_ceiling=600)
    apart = []
    for frame, values in enumerate(mine):
        middle_s = (HOP * frame + WINDOW / 2) / RATE
        praat = [burg.get_value_at_time(1 + formant, middle_s) for formant in range(N_FORMANTS)]
        if pitch.get_value_at_time(middle_s) > 0 and np.isfinite(praat).all():
            apart.append(np.abs(values / praat - 1))
    return np.array(apart)


def test_matches_praat_on_vowels(vowels):
    """A median within 2 % of each formant of each vowel."""
    for vowel in vowels:
        assert (np.median(against_praat(vowel), axis=0) < 0.02).all()


@pytest.mark.corpora
def test_matches_praat_on_speech(speech):
    """A median within 3 % of each formant."""
    apart = np.concatenate([against_praat(clip) for clip in speech])
    assert (np.median(apart, axis=0) < 0.03).all()
