"""F0: sounds whose pitch is known, and what padding, silence and noise may not do."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import UsageError
from features import f0, frames
from features.f0 import f0_track

RATE = 16_000


def pulses(hz, seconds=1.0, rate=RATE):
    turns = torch.floor(
        torch.arange(round(seconds * rate), dtype=torch.float64) / rate * hz + 1e-4
    )  # no pulse on the edge of rounding
    return 0.8 * (torch.diff(turns, prepend=turns[:1] - 1) > 0).float()


def tone(hz, seconds=1.0, rate=RATE):
    return 0.3 * torch.sin(2 * torch.pi * hz * torch.arange(round(seconds * rate)) / rate)


def track(waveform, **options):
    return f0_track(waveform[None], torch.tensor([len(waveform)], device=waveform.device), **options)


def mixed(device):
    """Rows with voice, noise and silence in turns."""
    noise = 0.05 * torch.randn(3, RATE, generator=torch.Generator().manual_seed(2))
    noise[0, :8000] = pulses(120, 0.5)
    noise[1, 4000:12000] += tone(310, 0.5)
    noise[2, 6000:9000] = 0
    return noise.to(device)


def test_shape(device):
    f0_hz, voicing = f0_track(mixed(device), torch.tensor([RATE] * 3, device=device))
    assert f0_hz.shape == voicing.shape == (3, frames.room(RATE, window=400, hop=160))
    assert f0_hz.dtype == voicing.dtype == torch.float32
    assert ((f0_hz == 0) | ((f0_hz >= 55) & (f0_hz <= 600))).all()
    assert ((voicing >= 0) & (voicing <= 1)).all()


def test_batch_matches_single(device):
    waveform = mixed(device)
    lengths = torch.tensor([RATE, 13000, 700], device=device)
    together = f0_track(waveform, lengths)
    for row, length in enumerate(lengths):
        alone = track(waveform[row, :length])
        n_frames = alone.f0_hz.shape[1]
        torch.testing.assert_close(alone.f0_hz[0], together.f0_hz[row, :n_frames], rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(alone.voicing[0], together.voicing[row, :n_frames], rtol=1e-4, atol=1e-4)


def test_padding_is_ignored(device):
    waveform, lengths = mixed(device), torch.tensor([RATE, 13000, 700], device=device)
    loud = waveform.clone()
    loud[1, 13000:], loud[2, 700:] = 3.0, float("nan")
    quiet, noisy = f0_track(waveform, lengths), f0_track(loud, lengths)
    assert torch.equal(quiet.f0_hz, noisy.f0_hz)
    assert torch.equal(quiet.voicing, noisy.voicing)
    assert (quiet.f0_hz[2, 2:] == 0).all()
    assert (quiet.voicing[2, 2:] == 0).all()


def test_chunks_change_nothing(device, monkeypatch):
    waveform, lengths = mixed(device), torch.tensor([RATE] * 3, device=device)
    whole = f0_track(waveform, lengths)
    monkeypatch.setattr(f0, "CHUNK_FRAMES", 33)
    chunked = f0_track(waveform, lengths)
    torch.testing.assert_close(chunked.f0_hz, whole.f0_hz, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(chunked.voicing, whole.voicing, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("level", [0.0, 0.5, -1.0, 1e-6])
def test_silence_and_constant(level, device):
    f0_hz, voicing = track(torch.full((8000,), level, device=device))
    assert (f0_hz == 0).all()
    assert (voicing == 0).all()


@pytest.mark.parametrize("hz", [60.0, 100.0, 200.0, 333.3, 590.0])
@pytest.mark.parametrize("sound", [tone, pulses])
def test_pure_tone_and_pulse_train_within_one_percent(sound, hz, device):
    f0_hz, voicing = track(sound(hz).to(device))
    inner = slice(5, -5)  # further out the analysis window reaches over the ends
    assert ((f0_hz[0, inner] / hz - 1).abs() < 0.01).all()
    assert (voicing[0, inner] > 0.9).all()


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_pulse_train_at_other_rates(rate, device):
    f0_hz, _ = track(pulses(200, 0.3, rate).to(device), sample_rate=rate)
    assert ((f0_hz[0, 5:-5] / 200 - 1).abs() < 0.01).all()


def test_noise_is_unvoiced(device):
    noise = 0.1 * torch.randn(RATE, generator=torch.Generator().manual_seed(3)).to(device)
    f0_hz, voicing = track(noise)
    assert (f0_hz > 0).float().mean() < 0.05
    assert voicing.mean() < 0.4


def test_a_glide_is_followed_without_octave_jumps(device):
    time_s = torch.arange(RATE) / RATE
    hz = 100 * 2**time_s  # an octave up in a second
    phase = 2 * torch.pi * torch.cumsum(hz.double() / RATE, 0)
    voice = sum(torch.sin(k * phase) / k for k in range(1, 9)).float() * 0.2
    f0_hz, _ = track(voice.to(device))
    centres = 200 + 160 * torch.arange(f0_hz.shape[1])
    assert ((f0_hz[0].cpu() / hz[centres] - 1).abs()[5:-5] < 0.01).all()


def test_a_weak_fundamental_is_still_the_pitch(device):
    voice = 0.02 * tone(150) + sum(tone(150 * k) / k for k in (2, 3, 4, 5))
    f0_hz, _ = track(voice.to(device))
    assert ((f0_hz[0, 5:-5] / 150 - 1).abs() < 0.01).all()


@given(length=st.integers(0, 1500))
@settings(deadline=None, max_examples=25)
def test_any_length_gives_its_frames(length):
    f0_hz, voicing = track(0.5 * torch.ones(length).cumsum(0).remainder(2))
    assert f0_hz.shape == (1, frames.room(length, window=400, hop=160))
    assert f0_hz.isfinite().all()
    assert voicing.isfinite().all()


@pytest.mark.parametrize("search", [{"f0_min_hz": 0}, {"f0_min_hz": 700}, {"f0_max_hz": 9000}])
def test_an_empty_range_is_refused(search):
    with pytest.raises(UsageError, match="F0 range"):
        track(torch.zeros(800), **search)
