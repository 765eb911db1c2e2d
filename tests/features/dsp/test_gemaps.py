"""eGeMAPS: names, shapes, masks, finite values for every input, and refused arguments."""

import pytest
import torch
from helpers.sound import white_noise
from helpers.voices import RATE, babble, egemaps_row, pad

from data_contracts.errors import UsageError
from features.dsp import frames, gemaps
from features.dsp.gemaps import EGEMAPS_NAMES, LLD_NAMES, EgemapsConfig, egemaps, egemaps_lld

CONTOUR = (
    "amean", "stddevNorm", "percentile20.0", "percentile50.0", "percentile80.0", "pctlrange0-2", "meanRisingSlope",
    "stddevRisingSlope", "meanFallingSlope", "stddevFallingSlope",
)  # fmt: skip

# The functionals' public names, eGeMAPSv02's, in order.
NAMES = [
    *(f"F0semitoneFrom27.5Hz_sma3nz_{statistic}" for statistic in CONTOUR),
    *(f"loudness_sma3_{statistic}" for statistic in CONTOUR),
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


def test_names_are_those_of_egemaps():
    assert list(EGEMAPS_NAMES) == NAMES
    assert len(set(EGEMAPS_NAMES)) == 88
    assert list(LLD_NAMES) == DESCRIPTORS
    assert len(set(LLD_NAMES)) == 25


def test_blocks_have_as_many_columns_as_names(utterances):
    raw = gemaps._raw_descriptors(*pad(utterances), sample_rate=RATE, config=EgemapsConfig())
    blocks = gemaps._functional_blocks(raw)
    widths = {name: len(names) for name, names in gemaps._BLOCKS.items()}
    assert {name: block.shape[1] for name, block in blocks.items()} == widths


def test_shape(utterances, device):
    batch = pad(utterances, device)
    values = egemaps(*batch)
    assert values.shape == (3, 88)
    assert values.dtype == torch.float32
    assert values.isfinite().all()
    found = egemaps_lld(*batch)
    assert found.values.shape == (3, 195, 25)
    assert found.values.dtype == torch.float32
    assert found.voiced.shape == (3, 195)
    assert found.n_frames.tolist() == [195, 51, 1]


def test_descriptors_are_zero_beyond_each_row_and_where_unvoiced(utterances, device):
    values, voiced, n_frames = egemaps_lld(*pad(utterances, device))
    assert values.isfinite().all()
    valid = frames.length_mask(n_frames, values.shape[1])
    assert not voiced[~valid].any()
    assert not values[~valid].any()
    voice = dict(zip(LLD_NAMES, values.unbind(-1), strict=True))
    assert torch.equal(voice["F0semitoneFrom27.5Hz_sma3nz"] > 0, voiced)
    for name in LLD_NAMES[10:]:
        if "amplitude" not in name:  # smoothing mixes the mark of a missing level into neighbouring frames
            assert not voice[name][~voiced].any()
    assert 0.2 < voiced[0].float().mean() < 0.9


@pytest.mark.parametrize("n", [0, 1, 159, 319, 320, 480, 959, 960, 961])
def test_a_frame_and_less_is_finite(n, device):
    for waveform in (babble()[3000 : 3000 + n], torch.ones(n), white_noise(n)):
        assert egemaps(*pad([waveform], device)).isfinite().all()
        by_frame = egemaps_lld(*pad([waveform], device))
        assert by_frame.values.shape[2] == 25
        assert by_frame.values.isfinite().all()


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), 1e20, 3e38])
def test_non_finite_and_huge_samples_give_finite_values(broken, device):
    waveform = babble()
    waveform[::997] = broken
    waveform[5::1999] = -broken
    assert egemaps(*pad([waveform], device)).isfinite().all()
    assert egemaps_lld(*pad([waveform], device)).values.isfinite().all()


@pytest.mark.parametrize("rate", [8000, 0, -16_000])
def test_a_rate_below_sixteen_kilohertz_is_refused(rate):
    with pytest.raises(UsageError, match="resample before"):
        egemaps_row(torch.zeros(800), sample_rate=rate)


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
        egemaps_row(babble(RATE), config=EgemapsConfig(*search))


def test_fingerprint_follows_the_configuration():
    assert EgemapsConfig().fingerprint() == EgemapsConfig().fingerprint()
    assert EgemapsConfig().fingerprint() != EgemapsConfig(f0_min_hz=60.0).fingerprint()
