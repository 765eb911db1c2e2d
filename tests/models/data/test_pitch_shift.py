"""Pitch and formant shifts of a synthetic vowel."""

import numpy as np
import pytest
from scipy.signal import find_peaks, welch

from features.decode.config import SAMPLE_RATE
from models.data.pitch_shift import change_voice, vary_pitch


def _vowel(f0_hz: float, *, first_hz: float = 700.0, seconds: float = 1.0) -> np.ndarray:
    """Return harmonics under broad resonances."""
    time_s = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = np.zeros_like(time_s)
    for n in range(1, int(7_000 / f0_hz)):
        height = sum(np.exp(-(((n * f0_hz - centre) / 350) ** 2)) for centre in (first_hz, 3 * first_hz)) + 0.01
        sound += height * np.sin(2 * np.pi * n * f0_hz * time_s + n**2)
    return np.asarray(0.1 * sound / np.abs(sound).max(), np.float32)


def _harmonics(waveform: np.ndarray) -> tuple[float, float]:
    """Return the spacing of the harmonics and the lower resonance, in Hz."""
    hz, power = welch(waveform, SAMPLE_RATE, nperseg=4096)
    peaks = find_peaks(10 * np.log10(power + 1e-20), prominence=15)[0]
    low = hz < 1_600
    return float(np.median(np.diff(hz[peaks]))), float((hz * power)[low].sum() / power[low].sum())


@pytest.mark.parametrize("pitch", [0.8, 1.4])
def test_pitch_moves_and_the_resonance_stays(pitch: float) -> None:
    before, after = _vowel(130), change_voice(_vowel(130), speed=1.0, pitch=pitch)
    spacing_hz, resonance_hz = _harmonics(after)
    assert spacing_hz == pytest.approx(130 * pitch, rel=0.03)
    assert resonance_hz == pytest.approx(_harmonics(before)[1], rel=0.12)
    assert len(after) == pytest.approx(len(before) / pitch, abs=2)


def test_speed_moves_both() -> None:
    spacing_hz, resonance_hz = _harmonics(change_voice(_vowel(130), speed=1.25))
    assert spacing_hz == pytest.approx(130 * 1.25, rel=0.03)
    assert resonance_hz == pytest.approx(_harmonics(_vowel(130))[1] * 1.25, rel=0.05)


def test_unchanged_is_unchanged_and_nothing_is_changed_in_place() -> None:
    vowel = _vowel(130)
    before = vowel.copy()
    np.testing.assert_array_equal(change_voice(vowel, speed=1.0), before)
    change_voice(vowel, speed=0.9, pitch=1.3)
    np.testing.assert_array_equal(vowel, before)


def test_pieces_have_pitches_of_their_own_that_repeat() -> None:
    vowel = _vowel(130, seconds=2.0)
    one, again = (
        vary_pitch(vowel, np.random.default_rng(4), speed=1.0, octaves=(-0.5, 0.5), piece_s=1.0) for _ in range(2)
    )
    np.testing.assert_array_equal(one, again)
    spacings = [_harmonics(part)[0] for part in np.array_split(one, [len(one) // 2])]
    assert abs(spacings[0] / spacings[1] - 1) > 0.05


@pytest.mark.parametrize("n", [0, 1, 500])
def test_hardly_any_sound_is_survived(n: int) -> None:
    short = np.zeros(n, np.float32)
    assert np.isfinite(change_voice(short, speed=1.0, pitch=1.2)).all()
