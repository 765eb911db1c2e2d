"""The 88 functionals: their names, what may not change a row, and sounds whose rows are known."""

import math

import pytest
import torch
from helpers.sound import white_noise
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from data_contracts.errors import UsageError
from features.dsp import descriptors, frames, spectrum
from features.dsp.gemaps import EGEMAPS_NAMES, LLD_NAMES, EgemapsConfig, egemaps, egemaps_lld

RATE = 16_000
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}

CONTOUR = (
    "amean", "stddevNorm", "percentile20.0", "percentile50.0", "percentile80.0", "pctlrange0-2", "meanRisingSlope",
    "stddevRisingSlope", "meanFallingSlope", "stddevFallingSlope",
)  # fmt: skip

# The functionals' public names, eGeMAPSv02's, in order.
NAMES = [
    *(f"F0semitoneFrom27.5Hz_sma3nz_{what}" for what in CONTOUR),
    *(f"loudness_sma3_{what}" for what in CONTOUR),
    "spectralFlux_sma3_amean", "spectralFlux_sma3_stddevNorm", "mfcc1_sma3_amean", "mfcc1_sma3_stddevNorm",
    "mfcc2_sma3_amean", "mfcc2_sma3_stddevNorm", "mfcc3_sma3_amean", "mfcc3_sma3_stddevNorm", "mfcc4_sma3_amean",
    "mfcc4_sma3_stddevNorm", "jitterLocal_sma3nz_amean", "jitterLocal_sma3nz_stddevNorm",
    "shimmerLocaldB_sma3nz_amean", "shimmerLocaldB_sma3nz_stddevNorm", "HNRdBACF_sma3nz_amean",
    "HNRdBACF_sma3nz_stddevNorm", "logRelF0-H1-H2_sma3nz_amean", "logRelF0-H1-H2_sma3nz_stddevNorm",
    "logRelF0-H1-A3_sma3nz_amean", "logRelF0-H1-A3_sma3nz_stddevNorm", "F1frequency_sma3nz_amean",
    "F1frequency_sma3nz_stddevNorm", "F1bandwidth_sma3nz_amean", "F1bandwidth_sma3nz_stddevNorm",
    "F1amplitudeLogRelF0_sma3nz_amean", "F1amplitudeLogRelF0_sma3nz_stddevNorm", "F2frequency_sma3nz_amean",
    "F2frequency_sma3nz_stddevNorm", "F2bandwidth_sma3nz_amean", "F2bandwidth_sma3nz_stddevNorm",
    "F2amplitudeLogRelF0_sma3nz_amean", "F2amplitudeLogRelF0_sma3nz_stddevNorm", "F3frequency_sma3nz_amean",
    "F3frequency_sma3nz_stddevNorm", "F3bandwidth_sma3nz_amean", "F3bandwidth_sma3nz_stddevNorm",
    "F3amplitudeLogRelF0_sma3nz_amean", "F3amplitudeLogRelF0_sma3nz_stddevNorm", "alphaRatioV_sma3nz_amean",
    "alphaRatioV_sma3nz_stddevNorm", "hammarbergIndexV_sma3nz_amean", "hammarbergIndexV_sma3nz_stddevNorm",
    "slopeV0-500_sma3nz_amean", "slopeV0-500_sma3nz_stddevNorm", "slopeV500-1500_sma3nz_amean",
    "slopeV500-1500_sma3nz_stddevNorm", "spectralFluxV_sma3nz_amean", "spectralFluxV_sma3nz_stddevNorm",
    "mfcc1V_sma3nz_amean", "mfcc1V_sma3nz_stddevNorm", "mfcc2V_sma3nz_amean", "mfcc2V_sma3nz_stddevNorm",
    "mfcc3V_sma3nz_amean", "mfcc3V_sma3nz_stddevNorm", "mfcc4V_sma3nz_amean", "mfcc4V_sma3nz_stddevNorm",
    "alphaRatioUV_sma3nz_amean", "hammarbergIndexUV_sma3nz_amean", "slopeUV0-500_sma3nz_amean",
    "slopeUV500-1500_sma3nz_amean", "spectralFluxUV_sma3nz_amean", "loudnessPeaksPerSec", "VoicedSegmentsPerSec",
    "MeanVoicedSegmentLengthSec", "StddevVoicedSegmentLengthSec", "MeanUnvoicedSegmentLength",
    "StddevUnvoicedSegmentLength", "equivalentSoundLevel_dBp",
]  # fmt: skip

DESCRIPTORS = [
    "Loudness_sma3", "alphaRatio_sma3", "hammarbergIndex_sma3", "slope0-500_sma3", "slope500-1500_sma3",
    "spectralFlux_sma3", "mfcc1_sma3", "mfcc2_sma3", "mfcc3_sma3", "mfcc4_sma3", "F0semitoneFrom27.5Hz_sma3nz",
    "jitterLocal_sma3nz", "shimmerLocaldB_sma3nz", "HNRdBACF_sma3nz", "logRelF0-H1-H2_sma3nz",
    "logRelF0-H1-A3_sma3nz", "F1frequency_sma3nz", "F1bandwidth_sma3nz", "F1amplitudeLogRelF0_sma3nz",
    "F2frequency_sma3nz", "F2bandwidth_sma3nz", "F2amplitudeLogRelF0_sma3nz", "F3frequency_sma3nz",
    "F3bandwidth_sma3nz", "F3amplitudeLogRelF0_sma3nz",
]  # fmt: skip


def of(waveform, **options):
    """(time,) to its row by name."""
    values = egemaps(waveform[None], torch.tensor([len(waveform)], device=waveform.device), **options)
    return dict(zip(EGEMAPS_NAMES, values[0].tolist(), strict=True))


def harmonics_of(hz):
    """A voice from its F0 at each sample."""
    phase = 2 * torch.pi * torch.cumsum(torch.as_tensor(hz, dtype=torch.float64) / RATE, 0)
    return 0.15 * sum(torch.sin(k * phase) / k for k in range(1, 12)).float()


def babble(n=2 * RATE):
    """Voice that glides and swells, breath and pauses."""
    time_s = torch.arange(n) / RATE
    voice = harmonics_of(170 + 40 * torch.sin(2 * torch.pi * 1.3 * time_s)) * (0.6 - 0.4 * torch.cos(23 * time_s))
    wave = voice * (torch.sin(2 * torch.pi * 2.1 * time_s) > -0.3) + white_noise(n, level=0.003)
    return torch.where(torch.sin(2 * torch.pi * 0.9 * time_s + 1) > -0.8, wave, 0.0)


def batch_of(waveforms, device="cpu", spare=0, filling=0.0):
    """Waveforms of different lengths as (batch, time), and the lengths."""
    lengths = torch.tensor([len(one) for one in waveforms])
    batch = torch.full((len(waveforms), int(lengths.max()) + spare), filling)
    for row, one in zip(batch, waveforms, strict=True):
        row[: len(one)] = one
    return batch.to(device), lengths.to(device)


@pytest.fixture
def company(vowels):
    """Three utterances: one of voice and pauses, one of a vowel in noise, one shorter than a frame."""
    return [babble(), vowels[0][:9000] + white_noise(9000, level=0.01), vowels[3][:700]]


def test_names_are_those_of_egemaps():
    assert list(EGEMAPS_NAMES) == NAMES
    assert len(set(EGEMAPS_NAMES)) == 88
    assert list(LLD_NAMES) == DESCRIPTORS
    assert len(set(LLD_NAMES)) == 25


def test_shape(company, device):
    batch = batch_of(company, device)
    values = egemaps(*batch)
    assert values.shape == (3, 88)
    assert values.dtype == torch.float32
    assert values.isfinite().all()
    found = egemaps_lld(*batch)
    assert found.values.shape == (3, 195, 25)
    assert found.values.dtype == torch.float32
    assert found.voiced.shape == (3, 195)
    assert found.n_frames.tolist() == [195, 51, 1]


def test_descriptors_are_there_where_the_mask_says(company, device):
    values, voiced, n_frames = egemaps_lld(*batch_of(company, device))
    assert values.isfinite().all()
    own = frames.length_mask(n_frames, values.shape[1])
    assert not voiced[~own].any()
    assert not values[~own].any()
    voice = dict(zip(LLD_NAMES, values.unbind(-1), strict=True))
    assert torch.equal(voice["F0semitoneFrom27.5Hz_sma3nz"] > 0, voiced)
    for name in LLD_NAMES[10:]:
        if "amplitude" not in name:  # the smoothing mixes what marks a missing level into the frames around
            assert not voice[name][~voiced].any()
    assert 0.2 < voiced[0].float().mean() < 0.9


@pytest.mark.parametrize("size", [1, 3])
def test_batch_matches_single(company, size, device):
    together = egemaps(*batch_of(company[:size], device))
    by_frame = egemaps_lld(*batch_of(company[:size], device))
    for row, one in enumerate(company[:size]):
        torch.testing.assert_close(egemaps(*batch_of([one], device))[0], together[row], **TOLERANCE)
        alone = egemaps_lld(*batch_of([one], device))
        n = alone.values.shape[1]
        torch.testing.assert_close(alone.values[0], by_frame.values[row, :n], rtol=1e-3, atol=1e-2)
        assert torch.equal(alone.voiced[0], by_frame.voiced[row, :n])


@pytest.mark.parametrize(("spare", "filling"), [(1, 0.9), (160, float("nan")), (5001, -0.5)])
def test_padding_is_ignored(spare, filling, company, device):
    wide = egemaps(*batch_of(company, device, spare=spare, filling=filling))
    torch.testing.assert_close(wide, egemaps(*batch_of(company, device)), **TOLERANCE)


def test_a_neighbour_of_minutes_changes_no_row(company, device):
    minutes = [*company, torch.zeros(90 * RATE)]
    together = egemaps(*batch_of(minutes, device))[:3]
    torch.testing.assert_close(together, egemaps(*batch_of(company, device)), **TOLERANCE)


@given(
    cuts=st.lists(st.tuples(st.integers(0, 15_000), st.integers(0, 12_000)), min_size=1, max_size=4),
    spare=st.integers(0, 2000),
)
@example(cuts=[(0, 140), (0, 1280)], spare=0)
@example(cuts=[(13_418, 140), (655, 1280)], spare=0)  # of 4,000 such pairs those that came closest to the limit
@example(cuts=[(2941, 140), (4244, 1280)], spare=0)
@example(cuts=[(3000, 1280), (3000, 140), (9000, 1279)], spare=500)
@settings(max_examples=25, derandomize=True)
def test_any_lengths_in_any_company_give_each_row_what_it_has_alone(cuts, spare):
    """Within 1e-3: the predictors of a few frames of a clean voice magnify how a product was rounded.

    Rows of 140 and 1280 samples once came out otherwise than alone on another machine: see `formants.NOISE_FLOOR`.
    """
    waveforms = [babble()[begin : begin + length] for begin, length in cuts]
    together = egemaps(*batch_of(waveforms, spare=spare))
    assert together.isfinite().all()
    for one, row in zip(waveforms, together, strict=True):
        torch.testing.assert_close(egemaps(*batch_of([one]))[0], row, rtol=1e-3, atol=1e-3)


@pytest.mark.corpora
def test_real_clips_keep_their_rows_in_company(speech):
    together = egemaps(*batch_of(speech, spare=777))
    alone = torch.cat([egemaps(*batch_of([clip])) for clip in speech])
    torch.testing.assert_close(together, alone, **TOLERANCE)
    assert together.isfinite().all()


def test_chunks_change_nothing(device, monkeypatch):
    """13 s are more frames than are worked on at once, voiced ones too."""
    batch = batch_of([babble(13 * RATE), babble(5 * RATE)], device)
    whole = egemaps(*batch)
    monkeypatch.setitem(spectrum.CHUNK_FRAMES, device.type, 101)
    torch.testing.assert_close(egemaps(*batch), whole, **TOLERANCE)
    monkeypatch.setitem(descriptors.MAX_KEPT_FRAMES, device.type, 0)  # spectra are computed a second time
    torch.testing.assert_close(egemaps(*batch), whole, **TOLERANCE)


class _Alive(TorchDispatchMode):
    """The most memory that results of operations held at one time, in bytes."""

    def __init__(self):
        super().__init__()
        self.most, self._alive = 0, {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for part in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(part, torch.Tensor):
                storage = part.untyped_storage()
                reference = StorageWeakRef(storage)
                self._alive[reference.cdata] = (reference, storage.nbytes())
        self._alive = {key: one for key, one in self._alive.items() if not one[0].expired()}
        self.most = max(self.most, sum(n_bytes for _, n_bytes in self._alive.values()))
        return result


def test_memory_does_not_follow_the_frames(monkeypatch):
    """30 s in chunks of 128 frames: a few places of the waveform's size, and 4 MB for the chunks."""
    monkeypatch.setitem(spectrum.CHUNK_FRAMES, "cpu", 128)
    monkeypatch.setitem(descriptors.MAX_KEPT_FRAMES, "cpu", 1000)
    waveform, lengths = babble(30 * RATE)[None], torch.tensor([30 * RATE])
    egemaps(waveform[:, :RATE], torch.tensor([RATE]))  # what is made once and kept
    with _Alive() as alive:
        egemaps(waveform, lengths)
    assert alive.most <= 4 * waveform.nbytes + 4e6


@pytest.mark.parametrize("level", [0.5, -1.0])
def test_a_constant_is_unvoiced_and_never_changes(level, device):
    row = of(torch.full((RATE,), level, device=device))
    assert all(math.isfinite(value) for value in row.values())
    for name, value in row.items():
        if "stddev" in name or "Slope" in name or "Flux" in name or "Peaks" in name or name.startswith("F0"):
            assert value == pytest.approx(0, abs=1e-5), name
    assert row["MeanUnvoicedSegmentLength"] == pytest.approx(0.93)
    assert row["MeanVoicedSegmentLengthSec"] == row["VoicedSegmentsPerSec"] == 0
    assert row["equivalentSoundLevel_dBp"] == pytest.approx(20 * math.log10(abs(level)), abs=0.01)


def test_silence_is_nothing_but_unvoiced(device):
    row = of(torch.zeros(RATE, device=device))
    rest = {name: value for name, value in row.items() if abs(value) > 1e-3 and "amplitude" not in name}
    slopes = {"slopeUV0-500_sma3nz_amean", "slopeUV500-1500_sma3nz_amean"}  # of the floor
    assert set(rest) == {"MeanUnvoicedSegmentLength", "equivalentSoundLevel_dBp", *slopes}
    assert row["MeanUnvoicedSegmentLength"] == pytest.approx(0.93)
    assert row["equivalentSoundLevel_dBp"] == pytest.approx(-120)
    assert {value for name, value in row.items() if "LogRelF0_sma3nz_amean" in name} == {-201}


@pytest.mark.parametrize("n", [0, 1, 159, 319, 320, 480, 959, 960, 961])
def test_a_frame_and_less_is_defined(n, device):
    for waveform in (babble()[3000 : 3000 + n], torch.ones(n), white_noise(n)):
        assert egemaps(*batch_of([waveform], device)).isfinite().all()
        by_frame = egemaps_lld(*batch_of([waveform], device))
        assert by_frame.values.shape[2] == 25
        assert by_frame.values.isfinite().all()


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), 1e20, 3e38])
def test_broken_samples_leave_no_nan(broken, device):
    waveform = babble()
    waveform[::997] = broken
    waveform[5::1999] = -broken
    assert egemaps(*batch_of([waveform], device)).isfinite().all()
    assert egemaps_lld(*batch_of([waveform], device)).values.isfinite().all()


def test_clipping_keeps_pitch_and_level_in_bounds(device):
    row = of((30 * harmonics_of([180.0] * RATE)).clamp(-1, 1).to(device))
    assert row["F0semitoneFrom27.5Hz_sma3nz_amean"] == pytest.approx(12 * math.log2(180 / 27.5), abs=0.1)
    assert -3 < row["equivalentSoundLevel_dBp"] <= 0


def test_a_pitch_of_220_hertz_is_36_semitones(device):
    row = of(harmonics_of([220.0] * RATE).to(device))
    assert row["F0semitoneFrom27.5Hz_sma3nz_amean"] == pytest.approx(36, abs=0.1)
    assert row["F0semitoneFrom27.5Hz_sma3nz_percentile50.0"] == pytest.approx(36, abs=0.1)
    assert row["F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2"] < 0.1
    assert row["MeanVoicedSegmentLengthSec"] == pytest.approx(0.92)
    assert row["MeanUnvoicedSegmentLength"] == 0


def glide(*semitones_per_s):
    """A voice that starts at 200 Hz and glides at each of these rates for half a second."""
    rates = torch.tensor(semitones_per_s, dtype=torch.float64).repeat_interleave(RATE // 2)
    return harmonics_of(200 * 2 ** (torch.cumsum(rates / RATE, 0) / 12))


def test_a_glide_up_down_and_up_at_an_octave_a_second_is_twelve_semitones_a_second(device):
    """Within 5 %: frames of 60 ms and the smoothing blunt the turns."""
    row = of(glide(12, -12, 12).to(device))
    for side in ("Rising", "Falling"):
        assert row[f"F0semitoneFrom27.5Hz_sma3nz_mean{side}Slope"] == pytest.approx(12, rel=0.05)
        assert row[f"F0semitoneFrom27.5Hz_sma3nz_stddev{side}Slope"] < 0.1
    assert row["F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2"] == pytest.approx(0.6 * 6, rel=0.1)


@pytest.mark.parametrize(("semitones_per_s", "side", "other"), [(12, "Rising", "Falling"), (-12, "Falling", "Rising")])
def test_a_glide_that_never_turns_has_its_change_a_frame(semitones_per_s, side, other, device):
    """Per frame of 10 ms, and a fall below 0: what eGeMAPSv02 gives for a contour without a turn."""
    row = of(glide(semitones_per_s, semitones_per_s).to(device))
    mean = "F0semitoneFrom27.5Hz_sma3nz_mean{}Slope".format
    assert row[mean(side)] == pytest.approx(semitones_per_s / 100, rel=0.03)
    assert row[mean(other)] == 0
    assert row["F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2"] == pytest.approx(0.6 * 12, rel=0.1)


def test_pulses_that_come_and_go_are_counted_and_measured(pulses, device):
    """0.3 s of pulses, 0.2 s of silence, eight times."""
    waveform = pulses(160, 4.0)
    waveform[torch.arange(4 * RATE) % 8000 >= 4800] = 0
    row = of(waveform.to(device))
    assert row["VoicedSegmentsPerSec"] == pytest.approx(2, rel=0.03)
    assert row["MeanVoicedSegmentLengthSec"] == pytest.approx(0.3, abs=0.04)
    assert row["MeanUnvoicedSegmentLength"] == pytest.approx(0.2, abs=0.06)
    assert row["StddevVoicedSegmentLengthSec"] < 0.03


@pytest.mark.parametrize("swells_hz", [2.0, 5.0])
def test_a_swelling_tone_peaks_as_often_as_it_swells(swells_hz, device):
    time_s = torch.arange(3 * RATE) / RATE
    tone = 0.3 * torch.sin(2 * torch.pi * 500 * time_s)
    row = of((tone * (0.55 - 0.45 * torch.cos(2 * torch.pi * swells_hz * time_s))).to(device))
    assert row["loudnessPeaksPerSec"] == pytest.approx(swells_hz, rel=0.03)


def test_a_full_scale_sine_is_three_decibels_below_full_scale(device):
    sine = torch.sin(2 * torch.pi * 1000 * torch.arange(RATE) / RATE)
    assert of(sine.to(device))["equivalentSoundLevel_dBp"] == pytest.approx(-3.01, abs=0.01)


def test_ten_decibels_change_loudness_level_and_flux_alone(vowels, device):
    vowel = vowels[1] + white_noise(RATE, level=0.003)
    loud, soft = of(vowel.to(device)), of(10**-0.5 * vowel.to(device))
    assert loud["equivalentSoundLevel_dBp"] - soft["equivalentSoundLevel_dBp"] == pytest.approx(10, abs=0.01)
    for name in EGEMAPS_NAMES[:-1]:
        value = loud[name]
        if name.startswith("loudness_") and not name.endswith("stddevNorm"):
            value *= 10 ** (-0.5 * 2 * 0.33)
        elif name.startswith("spectralFlux") and name.endswith("amean"):
            value *= 10**-0.5
        assert soft[name] == pytest.approx(value, rel=0.03, abs=0.01), name


@pytest.mark.parametrize("rate", [22_050, 48_000])
def test_other_rates_hear_the_same_voice(rate, pulses, device):
    at_16, at_rate = of(pulses(200).to(device)), of(pulses(200, rate=rate).to(device), sample_rate=rate)
    for name in ("F0semitoneFrom27.5Hz_sma3nz_amean", "VoicedSegmentsPerSec", "MeanVoicedSegmentLengthSec"):
        assert at_rate[name] == pytest.approx(at_16[name], rel=0.02)


@pytest.mark.parametrize("rate", [8000, 0, -16_000])
def test_a_rate_below_sixteen_kilohertz_is_refused(rate):
    with pytest.raises(UsageError, match="resample before"):
        of(torch.zeros(800), sample_rate=rate)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="add the batch dimension"):
        egemaps(torch.zeros(800), torch.tensor([800]))
    with pytest.raises(UsageError, match="pass valid samples a row"):
        egemaps(torch.zeros(1, 800), torch.tensor([801]))
    with pytest.raises(UsageError, match="leave it out"):
        egemaps(torch.zeros(0, 800), torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize("search", [(0.0, 1000.0), (600.0, 500.0), (55.0, 9000.0)])
def test_an_empty_range_is_refused(search):
    with pytest.raises(UsageError, match="change the F0 range"):
        of(babble(RATE), config=EgemapsConfig(*search))


def test_fingerprint_follows_the_configuration():
    assert EgemapsConfig().fingerprint() == EgemapsConfig().fingerprint()
    assert EgemapsConfig().fingerprint() != EgemapsConfig(f0_min_hz=60.0).fingerprint()
