"""The row an utterance becomes: defined for anything, the same in any company, right where the answer is known."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import UsageError
from features import f0, spectrum
from features.functionals import FUNCTIONAL_NAMES, FunctionalsConfig, functionals
from features.mel import MelConfig

RATE = 16_000
TOLERANCE = {"rtol": 1e-4, "atol": 1e-3}


def voice(seconds=1.0, hz=200.0):
    """A buzz that swells five times a second, over a little noise."""
    time_s = torch.arange(round(seconds * RATE)) / RATE
    buzz = sum(torch.sin(2 * torch.pi * hz * k * time_s) / k for k in range(1, 20))
    swell = 0.55 - 0.45 * torch.cos(2 * torch.pi * 5 * time_s)
    return 0.2 * buzz * swell + 1e-3 * torch.randn(len(time_s), generator=torch.Generator().manual_seed(4))


def row(waveform, **options):
    values = functionals(waveform[None], torch.tensor([len(waveform)], device=waveform.device), **options)
    return dict(zip(FUNCTIONAL_NAMES, values[0].tolist(), strict=True))


def company(device):
    """Three rows of different lengths: the waveforms, padded, and the lengths."""
    lengths = torch.tensor([RATE, 9000, 300], device=device)
    return torch.stack([voice(), voice(hz=110.0).flip(0), 0.1 * voice(hz=300.0)]).to(device), lengths


def test_shape(device):
    values = functionals(*company(device))
    assert values.shape == (3, len(FUNCTIONAL_NAMES))
    assert values.dtype == torch.float32
    assert values.isfinite().all()
    assert len(set(FUNCTIONAL_NAMES)) == len(FUNCTIONAL_NAMES) == 158


def test_batch_matches_single(device):
    waveform, lengths = company(device)
    together = functionals(waveform, lengths)
    for index, length in enumerate(lengths):
        alone = functionals(waveform[index : index + 1, :length], lengths[index : index + 1])
        torch.testing.assert_close(alone[0], together[index], **TOLERANCE)


def test_padding_is_ignored(device):
    waveform, lengths = company(device)
    loud = torch.nn.functional.pad(waveform, (0, 5000), value=0.7)
    loud[1, 9000:], loud[2, 300:] = float("nan"), -0.9
    torch.testing.assert_close(functionals(loud, lengths), functionals(waveform, lengths), **TOLERANCE)


def test_chunks_change_nothing(device, monkeypatch):
    waveform, lengths = company(device)
    whole = functionals(waveform, lengths)
    monkeypatch.setattr(spectrum, "CHUNK_FRAMES", 30)
    monkeypatch.setattr(f0, "CHUNK_FRAMES", 30)
    torch.testing.assert_close(functionals(waveform, lengths), whole, **TOLERANCE)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_silence_and_constant(level, device):
    values = row(torch.full((8000,), level, device=device))
    assert all(abs(value) < float("inf") for value in values.values())
    melody = [name for name in FUNCTIONAL_NAMES if "voiced" in name or name.startswith("f0_")]
    assert {values[name] for name in melody} == {0.0}
    assert values["loudness_peaks_per_s"] == 0
    assert values["energy_db_sd"] == pytest.approx(0, abs=1e-3)


def test_clipping_half_a_frame_and_broken_samples_are_finite(device):
    clipped = (20 * voice()).clamp(-1, 1)
    broken = voice()
    broken[::97] = float("nan")
    broken[5::97] = float("inf")
    for waveform in (clipped, voice()[:200], voice()[:1], voice()[:0], broken):
        values = functionals(waveform[None].to(device), torch.tensor([len(waveform)], device=device))
        assert values.isfinite().all()


@given(lengths=st.lists(st.integers(0, 2500), min_size=1, max_size=4))
@settings(deadline=None, max_examples=20)
def test_any_lengths_give_each_row_what_it_has_alone(lengths):
    waveform = voice()[:2500].repeat(len(lengths), 1)
    together = functionals(waveform, torch.tensor(lengths))
    assert together.isfinite().all()
    alone = functionals(waveform[:1, : lengths[-1]], torch.tensor(lengths[-1:]))
    torch.testing.assert_close(together[-1:], alone, **TOLERANCE)


def test_pure_tone_of_known_pitch_level_and_rhythm(device):
    values = row(voice(seconds=2.0, hz=220.0).to(device))
    assert values["f0_semitone_p50"] == pytest.approx(36, abs=0.05)  # 220 Hz is three octaves above 27.5 Hz
    assert values["f0_semitone_range"] < 0.1
    assert values["voiced_share"] > 0.95
    assert values["voiced_per_s"] == pytest.approx(0.5, rel=0.05)  # one voiced stretch in two seconds
    assert values["loudness_peaks_per_s"] == pytest.approx(5, rel=0.05)
    assert values["harmonicity_db_mean"] > 10


def test_two_bursts_are_two_voiced_segments(device):
    waveform = torch.zeros(RATE)
    waveform[1600:4800] = waveform[8000:11200] = voice(0.2)
    values = row(waveform.to(device))
    assert values["voiced_per_s"] == pytest.approx(2, rel=0.05)
    assert values["voiced_segment_s"] == pytest.approx(0.2, abs=0.04)
    assert values["voiced_share"] == pytest.approx(0.4, abs=0.08)


def test_a_glide_rises_by_its_slope(device):
    time_s = torch.arange(RATE) / RATE
    phase = 2 * torch.pi * torch.cumsum((110 * 2**time_s).double() / RATE, 0)
    values = row(sum(0.1 * torch.sin(k * phase) for k in (1, 2, 3)).float().to(device))
    assert values["f0_rise_semitone_per_s_mean"] == pytest.approx(12, rel=0.05)
    assert values["f0_semitone_range"] == pytest.approx(0.6 * 12, rel=0.1)


def test_ten_decibels_louder_is_ten_decibels_louder(device):
    soft, loud = row(voice().to(device)), row(10**0.5 * voice().to(device))
    assert loud["energy_db_p50"] - soft["energy_db_p50"] == pytest.approx(10, abs=0.1)
    assert loud["f0_semitone_mean"] == pytest.approx(soft["f0_semitone_mean"], abs=0.01)


def test_wrong_rates_and_shapes_are_refused():
    with pytest.raises(UsageError, match="resample"):
        functionals(torch.zeros(1, 800), torch.tensor([800]), sample_rate=8000)
    with pytest.raises(UsageError, match="batch"):
        functionals(torch.zeros(800), torch.tensor([800]))


def test_fingerprint_follows_every_part():
    plain = FunctionalsConfig().fingerprint()
    assert plain != FunctionalsConfig(mel=MelConfig(n_mels=60)).fingerprint()
    assert plain != FunctionalsConfig(f0_min_hz=60.0).fingerprint()
