"""F0: sounds of known pitch, robustness to padding, silence and noise, and agreement with Praat."""

import numpy as np
import parselmouth
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import UsageError
from features.dsp import frames, spectrum
from features.dsp.f0 import f0_track

RATE, HOP, WINDOW = 16_000, 160, 960


def track(waveform, **options):
    return f0_track(waveform[None], torch.tensor([len(waveform)], device=waveform.device), **options)


def cents(f0_hz, expected_hz):
    return 1200 * torch.log2(f0_hz / expected_hz).abs()


def sum_harmonics(phase, n):
    """A voice with its energy in the low harmonics, from the fundamental's phase."""
    return 0.15 * sum(torch.sin(k * phase) / k for k in range(1, n)).float()


def steady(hz, seconds=1.0):
    return sum_harmonics(2 * torch.pi * hz * torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE, 20)


@pytest.fixture
def mixed(device):
    """Rows with voice, noise and silence in turns, and their lengths."""
    waveform = 0.02 * torch.randn(3, RATE, generator=torch.Generator().manual_seed(2))
    waveform[0, :8000] = steady(180, 0.5)
    waveform[1, 4000:12000] += steady(310, 0.5)
    waveform[2, :3000] = steady(240, 3000 / RATE)
    return waveform.to(device), torch.tensor([RATE, 13_000, 700], device=device)


def test_shape(mixed):
    f0_hz, voicing = f0_track(*mixed)
    assert f0_hz.shape == voicing.shape == (3, frames.max_frames(RATE, window=WINDOW, hop=HOP))
    assert f0_hz.dtype == voicing.dtype == torch.float32
    assert ((f0_hz == 0) | ((f0_hz >= 55) & (f0_hz <= 1000))).all()
    assert ((voicing >= 0) & (voicing <= 1)).all()


@pytest.mark.parametrize("size", [1, 3])
def test_batch_matches_single(mixed, size):
    waveform, lengths = mixed[0][:size], mixed[1][:size]
    together = f0_track(waveform, lengths)
    for row, length in enumerate(lengths):
        alone = track(waveform[row, :length])
        n_frames = alone.f0_hz.shape[1]
        torch.testing.assert_close(alone.f0_hz[0], together.f0_hz[row, :n_frames], rtol=1e-5, atol=1e-3)
        torch.testing.assert_close(alone.voicing[0], together.voicing[row, :n_frames], rtol=1e-5, atol=1e-5)


def test_padding_is_ignored(mixed):
    waveform, lengths = mixed
    loud = waveform.clone()
    loud[1, 13_000:], loud[2, 700:] = 3.0, float("nan")
    quiet, noisy = f0_track(waveform, lengths), f0_track(loud, lengths)
    assert torch.equal(quiet.f0_hz, noisy.f0_hz)
    assert torch.equal(quiet.voicing, noisy.voicing)
    assert not quiet.f0_hz[2, 1:].any()
    assert not quiet.voicing[2, 1:].any()


def test_chunks_change_nothing(mixed, monkeypatch):
    whole = f0_track(*mixed)
    monkeypatch.setitem(spectrum.CHUNK_FRAMES, mixed[0].device.type, 33)
    chunked = f0_track(*mixed)
    torch.testing.assert_close(chunked.f0_hz, whole.f0_hz, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(chunked.voicing, whole.voicing, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.5, -1.0, 1e-6])
def test_silence_and_constant(level, device):
    f0_hz, voicing = track(torch.full((8000,), level, device=device))
    assert not f0_hz.any()
    assert not voicing.any()


@pytest.mark.parametrize("hz", [100.0, 150.0, 220.0, 333.3, 500.0])
def test_pulse_train_within_ten_cents(hz, pulses, device):
    f0_hz, _ = track(pulses(hz).to(device))
    assert (f0_hz > 0).float().mean() > 0.9
    assert (cents(f0_hz[f0_hz > 0], hz) < 10).all()


@pytest.mark.parametrize("hz", [60.0, 75.0, 90.0, 110.0, 160.0, 240.0, 400.0])
def test_vowel_has_its_pitch_and_not_the_octave(hz, pulses, resonate, device):
    vowel = resonate(pulses(hz), (600, 1200, 2500, 3500, 4500), (80, 100, 120, 150, 200)).to(device)
    f0_hz, _ = track(vowel)
    assert (f0_hz > 0).float().mean() > 0.9
    assert (cents(f0_hz[f0_hz > 0], hz) < 10).all()


@pytest.mark.parametrize("hz", [100.0, 333.3, 900.0])
def test_pure_tone_within_ten_cents(hz, device):
    tone = 0.3 * torch.sin(2 * torch.pi * hz * torch.arange(RATE) / RATE).to(device)
    f0_hz, _ = track(tone)
    assert (cents(f0_hz, hz) < 10).all()


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_pulse_train_at_other_rates(rate, pulses, device):
    f0_hz, _ = track(pulses(200, 0.5, rate).to(device), sample_rate=rate)
    assert (f0_hz > 0).all()
    assert (cents(f0_hz, 200) < 15).all()


@pytest.mark.parametrize("octaves", [1.0, -1.0])
def test_a_glide_is_followed_without_octave_jumps(octaves, device):
    hz = 200 * 2 ** (octaves * torch.arange(RATE, dtype=torch.float64) / RATE)  # an octave in a second
    f0_hz, _ = track(sum_harmonics(2 * torch.pi * torch.cumsum(hz / RATE, 0), 9).to(device))
    centres = WINDOW // 2 + HOP * torch.arange(f0_hz.shape[1])
    assert (cents(f0_hz[0].cpu(), hz[centres]) < 20).all()


def test_a_missing_fundamental_is_still_the_pitch(device):
    voice = sum(torch.sin(2 * torch.pi * 200 * k * torch.arange(RATE) / RATE) / k for k in (2, 3, 4, 5))
    f0_hz, _ = track(0.2 * voice.to(device))
    assert (cents(f0_hz, 200) < 10).all()


@pytest.mark.parametrize("gain", [0.03, 0.3, 3.0])
def test_the_level_changes_no_pitch(gain, device):
    voice = steady(180).to(device)
    plain, other = track(voice), track(gain * voice)
    torch.testing.assert_close(other.f0_hz, plain.f0_hz, rtol=1e-4, atol=0)
    torch.testing.assert_close(other.voicing, plain.voicing, rtol=1e-3, atol=1e-4)


def test_noise_is_unvoiced(device):
    noise = 0.1 * torch.randn(4 * RATE, generator=torch.Generator().manual_seed(3)).to(device)
    assert (track(noise).f0_hz > 0).float().mean() < 0.02


def test_frames_of_voice_between_pauses_are_voiced(device):
    waveform = torch.zeros(RATE)
    waveform[4000:12_000] = steady(200, 0.5)
    voiced = (track(waveform.to(device)).f0_hz[0] > 0).cpu()
    begins = HOP * torch.arange(len(voiced))
    assert voiced[(begins >= 4000) & (begins + WINDOW <= 12_000)].all()
    assert not voiced[(begins + WINDOW < 4000) | (begins > 12_000)].any()


def test_a_range_keeps_the_pitch_within_it(device):
    f0_hz, _ = track(steady(200).to(device), f0_min_hz=250, f0_max_hz=700)
    assert ((f0_hz == 0) | ((f0_hz >= 250) & (f0_hz <= 700))).all()


def test_the_narrowest_of_ranges_gives_a_track(device):
    """Two steps of the axis: three candidates do not fit in there, one does."""
    f0_hz, _ = track(steady(305).to(device), f0_min_hz=300, f0_max_hz=330)
    assert (cents(f0_hz, 305) < 20).all()


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_a_non_finite_sample_changes_only_the_frames_around_it(broken, device):
    voice = steady(200).to(device)
    spoilt = voice.clone()
    spoilt[8000] = broken
    expected, found = track(voice), track(spoilt)
    assert found.f0_hz.isfinite().all()
    assert found.voicing.isfinite().all()
    torch.testing.assert_close(found.f0_hz[0, :40], expected.f0_hz[0, :40], rtol=1e-4, atol=0)
    torch.testing.assert_close(found.f0_hz[0, 55:], expected.f0_hz[0, 55:], rtol=1e-4, atol=0)


def test_clipping_keeps_the_pitch(device):
    f0_hz, _ = track((30 * steady(180)).clamp(-1, 1).to(device))
    assert (cents(f0_hz, 180) < 10).all()


@given(length=st.integers(0, 2500))
@settings(max_examples=20)
def test_number_of_frames_of_any_length(length):
    f0_hz, voicing = track(steady(200)[:length])
    assert f0_hz.shape == (1, frames.max_frames(length, window=WINDOW, hop=HOP))
    assert f0_hz.isfinite().all()
    assert voicing.isfinite().all()


@pytest.mark.parametrize("search", [{"f0_min_hz": 0}, {"f0_min_hz": 1200}, {"f0_max_hz": 9000}])
def test_an_empty_range_is_refused(search):
    with pytest.raises(UsageError, match="change the F0 range"):
        track(torch.zeros(800), **search)


def test_a_missing_batch_dimension_is_refused():
    with pytest.raises(UsageError, match="add the batch dimension"):
        f0_track(torch.zeros(800), torch.tensor([800]))


def against_praat(waveform):
    """Cents apart in frames that both call voiced, and the share of frames in which they agree on voicing."""
    mine = track(waveform).f0_hz[0].numpy()
    pitch = parselmouth.Sound(waveform.double().numpy(), RATE).to_pitch_ac(
        time_step=0.01, pitch_floor=75, very_accurate=True, pitch_ceiling=600
    )
    middles_s = (HOP * np.arange(len(mine)) + WINDOW / 2) / RATE
    praat = np.nan_to_num([pitch.get_value_at_time(second) for second in middles_s])
    both = (mine > 0) & (praat > 0)
    return 1200 * np.abs(np.log2(mine[both] / praat[both])), np.mean((mine > 0) == (praat > 0))


def test_matches_praat_on_vowels(vowels):
    """Every frame within 10 cents."""
    for vowel in vowels:
        apart, agreement = against_praat(vowel)
        assert apart.max() < 10
        assert agreement > 0.95


@pytest.mark.corpora
def test_matches_praat_on_speech(speech):
    """A median within 15 cents, 1 frame in 50 further than a tone, the same voicing in 4 frames of 5."""
    apart, agreement = zip(*(against_praat(clip) for clip in speech), strict=True)
    assert np.median(np.concatenate(apart)) < 15
    assert np.mean(np.concatenate(apart) > 200) < 0.02
    assert np.mean(agreement) > 0.8
