"""eGeMAPS of sounds with known answers: silence, constants, tones, glides, pulses and levels."""

import math

import pytest
import torch
from helpers.sound import white_noise
from helpers.voices import RATE, egemaps_row, harmonic_voice

from features.dsp.gemaps import EGEMAPS_NAMES


@pytest.mark.parametrize("level", [0.5, -1.0])
def test_a_constant_is_unvoiced_without_change(level, device):
    row = egemaps_row(torch.full((RATE,), level, device=device))
    assert all(math.isfinite(value) for value in row.values())
    for name, value in row.items():
        if "stddev" in name or "Slope" in name or "Flux" in name or "Peaks" in name or name.startswith("F0"):
            assert value == pytest.approx(0, abs=1e-5), name
    assert row["MeanUnvoicedSegmentLength"] == pytest.approx(0.93)
    assert row["MeanVoicedSegmentLengthSec"] == row["VoicedSegmentsPerSec"] == 0
    assert row["equivalentSoundLevel_dBp"] == pytest.approx(20 * math.log10(abs(level)), abs=0.01)


def test_silence_gives_zero_but_for_its_length_level_and_floor(device):
    row = egemaps_row(torch.zeros(RATE, device=device))
    rest = {name: value for name, value in row.items() if abs(value) > 1e-3 and "amplitude" not in name}
    slopes = {"slopeUV0-500_sma3nz_amean", "slopeUV500-1500_sma3nz_amean"}  # of the floor
    assert set(rest) == {"MeanUnvoicedSegmentLength", "equivalentSoundLevel_dBp", *slopes}
    assert row["MeanUnvoicedSegmentLength"] == pytest.approx(0.93)
    assert row["equivalentSoundLevel_dBp"] == pytest.approx(-120)
    assert {value for name, value in row.items() if "LogRelF0_sma3nz_amean" in name} == {-201}


def test_clipping_keeps_pitch_and_level_in_bounds(device):
    row = egemaps_row((30 * harmonic_voice([180.0] * RATE)).clamp(-1, 1).to(device))
    assert row["F0semitoneFrom27.5Hz_sma3nz_amean"] == pytest.approx(12 * math.log2(180 / 27.5), abs=0.1)
    assert -3 < row["equivalentSoundLevel_dBp"] <= 0


def test_a_pitch_of_220_hertz_is_36_semitones(device):
    row = egemaps_row(harmonic_voice([220.0] * RATE).to(device))
    assert row["F0semitoneFrom27.5Hz_sma3nz_amean"] == pytest.approx(36, abs=0.1)
    assert row["F0semitoneFrom27.5Hz_sma3nz_percentile50.0"] == pytest.approx(36, abs=0.1)
    assert row["F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2"] < 0.1
    assert row["MeanVoicedSegmentLengthSec"] == pytest.approx(0.92)
    assert row["MeanUnvoicedSegmentLength"] == 0


def glide(*semitones_per_s):
    """Make a voice that starts at 200 Hz and glides at each of these rates for half a second."""
    rates = torch.tensor(semitones_per_s, dtype=torch.float64).repeat_interleave(RATE // 2)
    return harmonic_voice(200 * 2 ** (torch.cumsum(rates / RATE, 0) / 12))


def test_a_glide_up_down_and_up_at_an_octave_a_second_is_twelve_semitones_a_second(device):
    """Tolerance 5 %: frames of 60 ms and the smoothing blunt the turns."""
    row = egemaps_row(glide(12, -12, 12).to(device))
    for side in ("Rising", "Falling"):
        assert row[f"F0semitoneFrom27.5Hz_sma3nz_mean{side}Slope"] == pytest.approx(12, rel=0.05)
        assert row[f"F0semitoneFrom27.5Hz_sma3nz_stddev{side}Slope"] < 0.1
    assert row["F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2"] == pytest.approx(0.6 * 6, rel=0.1)


@pytest.mark.parametrize(("semitones_per_s", "side", "other"), [(12, "Rising", "Falling"), (-12, "Falling", "Rising")])
def test_the_slope_of_a_glide_without_a_turn_is_its_change_per_frame(semitones_per_s, side, other, device):
    """As in eGeMAPSv02: per frame of 10 ms, and negative for a fall."""
    row = egemaps_row(glide(semitones_per_s, semitones_per_s).to(device))
    mean = "F0semitoneFrom27.5Hz_sma3nz_mean{}Slope".format
    assert row[mean(side)] == pytest.approx(semitones_per_s / 100, rel=0.03)
    assert row[mean(other)] == 0
    assert row["F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2"] == pytest.approx(0.6 * 12, rel=0.1)


def test_voiced_segments_are_counted_and_measured(pulses, device):
    """0.3 s of pulses, 0.2 s of silence, eight times."""
    waveform = pulses(160, 4.0)
    waveform[torch.arange(4 * RATE) % 8000 >= 4800] = 0
    row = egemaps_row(waveform.to(device))
    assert row["VoicedSegmentsPerSec"] == pytest.approx(2, rel=0.03)
    assert row["MeanVoicedSegmentLengthSec"] == pytest.approx(0.3, abs=0.04)
    assert row["MeanUnvoicedSegmentLength"] == pytest.approx(0.2, abs=0.06)
    assert row["StddevVoicedSegmentLengthSec"] < 0.03


@pytest.mark.parametrize("swells_hz", [2.0, 5.0])
def test_loudness_peaks_of_a_swelling_tone(swells_hz, device):
    time_s = torch.arange(3 * RATE) / RATE
    tone = 0.3 * torch.sin(2 * torch.pi * 500 * time_s)
    row = egemaps_row((tone * (0.55 - 0.45 * torch.cos(2 * torch.pi * swells_hz * time_s))).to(device))
    assert row["loudnessPeaksPerSec"] == pytest.approx(swells_hz, rel=0.03)


def test_a_full_scale_sine_is_three_decibels_below_full_scale(device):
    sine = torch.sin(2 * torch.pi * 1000 * torch.arange(RATE) / RATE)
    assert egemaps_row(sine.to(device))["equivalentSoundLevel_dBp"] == pytest.approx(-3.01, abs=0.01)


def test_ten_decibels_change_loudness_level_and_flux_alone(vowels, device):
    vowel = vowels[1] + white_noise(RATE, level=0.003)
    loud, soft = egemaps_row(vowel.to(device)), egemaps_row(10**-0.5 * vowel.to(device))
    assert loud["equivalentSoundLevel_dBp"] - soft["equivalentSoundLevel_dBp"] == pytest.approx(10, abs=0.01)
    for name in EGEMAPS_NAMES[:-1]:
        value = loud[name]
        if name.startswith("loudness_") and not name.endswith("stddevNorm"):
            value *= 10 ** (-0.5 * 2 * 0.33)
        elif name.startswith("spectralFlux") and name.endswith("amean"):
            value *= 10**-0.5
        assert soft[name] == pytest.approx(value, rel=0.03, abs=0.01), name


@pytest.mark.parametrize("rate", [22_050, 48_000])
def test_other_sample_rates_give_the_same_voice(rate, pulses, device):
    at_16, at_rate = (
        egemaps_row(pulses(200).to(device)),
        egemaps_row(pulses(200, rate=rate).to(device), sample_rate=rate),
    )
    for name in ("F0semitoneFrom27.5Hz_sma3nz_amean", "VoicedSegmentsPerSec", "MeanVoicedSegmentLengthSec"):
        assert at_rate[name] == pytest.approx(at_16[name], rel=0.02)
