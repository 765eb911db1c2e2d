"""F0 candidates: voices of known pitch, noise, quiet frames, and the narrowest range."""

import math

import pytest
import torch
from helpers.sound import white_noise

from features.dsp import frames, spectrum, subharmonics
from features.dsp.f0 import VOICING_THRESHOLD
from features.dsp.subharmonics import FRAME_S, N_CANDIDATES, QUIET_DB, SIGMA, F0Range, find_candidates, harmonic_power

RATE, HOP, WINDOW = 16_000, 160, 960


def power_of(waveform):
    """Power of all frames of 60 ms of (batch, time)."""
    return harmonic_power(frames.frame(waveform, window=WINDOW, hop=HOP), sample_rate=RATE)


def candidates_of(waveform, **options):
    """The candidates of (time,): f0_hz and strength, (frames, N_CANDIDATES)."""
    f0_hz, strength = find_candidates(power_of(waveform[None]), sample_rate=RATE, **options)
    return f0_hz[0], strength[0]


def voice(hz, n_harmonics, seconds=1.0):
    """Harmonics of equal height and scattered phase, at a root mean square of 0.1."""
    phase = 2 * torch.pi * hz * torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    wave = sum(torch.cos(k * phase + k * k) for k in range(1, n_harmonics + 1))
    return (0.1 * wave / wave.square().mean().sqrt()).float()


def cents(f0_hz, expected_hz):
    return 1200 * torch.log2(f0_hz / expected_hz).abs()


@pytest.fixture
def mixed(device):
    """Three rows: voice that falls silent, voice in noise, noise alone."""
    falling_silent = torch.where(torch.arange(RATE) < 8000, voice(180, 12), 0.0)
    noisy = voice(310, 8) + white_noise(RATE, level=0.02, seed=1)
    return torch.stack([falling_silent, noisy, white_noise(RATE, seed=2)]).to(device)


def test_shape(mixed):
    f0_hz, strength = find_candidates(power_of(mixed), sample_rate=RATE)
    assert f0_hz.shape == strength.shape == (3, frames.max_frames(RATE, window=WINDOW, hop=HOP), N_CANDIDATES)
    assert f0_hz.dtype == strength.dtype == torch.float32
    assert ((f0_hz >= 55) & (f0_hz <= 1000)).all()
    assert ((strength == -1) | ((strength >= 0) & (strength <= 1))).all()


@pytest.mark.parametrize("size", [1, 3])
def test_batch_matches_single(mixed, size):
    together = find_candidates(power_of(mixed[:size]), sample_rate=RATE)
    for row in range(size):
        f0_hz, strength = candidates_of(mixed[row])
        torch.testing.assert_close(strength, together.strength[row], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(f0_hz[:, 0], together.f0_hz[row, :, 0], rtol=1e-4, atol=0.01)


def test_silence_and_constant(device):
    """Silence has no candidates, and a constant none that would be voice."""
    f0_hz, strength = candidates_of(torch.zeros(3000, device=device))
    assert (strength == -1).all()
    assert (f0_hz == 55).all()
    for level in (0.5, -1.0):
        assert (candidates_of(torch.full((3000,), level, device=device))[1] < VOICING_THRESHOLD).all()


@pytest.mark.parametrize(("off_db", "has_candidates"), [(-0.2, False), (0.2, True)])
def test_frames_below_the_quietest_have_no_candidates(off_db, has_candidates, device):
    """The level is that under the taper, 4.5 dB below the frame's own."""
    taper_db = 10 * spectrum.gauss(WINDOW, SIGMA, device).square().mean().log10().item()
    gain = 10 ** ((QUIET_DB - taper_db + off_db) / 20) / 0.1
    _, strength = candidates_of(gain * voice(200, 20).to(device))
    assert ((strength[:, 0] > 0) == has_candidates).all()
    assert ((strength == -1).all(-1) != has_candidates).all()


@pytest.mark.parametrize("hz", [130, 200, 310, 450, 700])
def test_a_voice_of_ten_harmonics_is_the_first_candidate_within_five_cents(hz, device):
    f0_hz, strength = candidates_of(voice(hz, 10).to(device))
    assert (cents(f0_hz[:, 0], hz) < 5).all()
    assert (strength[:, 0] > 0.8).all()


@pytest.mark.parametrize("hz", [100.0, 310.0, 900.0])
def test_pure_tone_is_the_first_candidate_within_five_cents(hz, device):
    f0_hz, _ = candidates_of(voice(hz, 1).to(device))
    assert (cents(f0_hz[:, 0], hz) < 5).all()


@pytest.mark.parametrize("hz", [80, 100])
def test_a_low_voice_of_many_harmonics_is_judged_by_its_period(hz, device, monkeypatch):
    """Harmonics up to 7 kHz leave the sum too flat for a voice: 0.6 at 80 Hz. Each period repeats the last, though."""
    waveform = voice(hz, 7000 // hz).to(device)
    assert (candidates_of(waveform)[1][:, 0] >= subharmonics.MIN_PERIODICITY).all()
    monkeypatch.setattr(subharmonics, "MIN_PERIODICITY", math.inf)
    assert (candidates_of(waveform)[1][:, 0] < VOICING_THRESHOLD).all()


@pytest.mark.parametrize("offset", [0.05, 0.5])
def test_an_offset_changes_no_pitch(offset, device):
    f0_hz, strength = candidates_of(voice(200, 10).to(device) + offset)
    assert (cents(f0_hz[:, 0], 200) < 5).all()
    assert (strength[:, 0] > 0.8).all()


def test_noise_is_rarely_as_strong_as_voice(device):
    _, strength = candidates_of(white_noise(10 * RATE, seed=3).to(device))
    assert (strength[:, 0] >= VOICING_THRESHOLD).float().mean() < 0.005


def test_the_level_changes_no_candidate(device):
    waveform = (voice(180, 12) + white_noise(RATE, level=0.01)).to(device)
    (f0_hz, strength), (louder_hz, louder) = candidates_of(waveform), candidates_of(8 * waveform)
    torch.testing.assert_close(louder_hz[:, 0], f0_hz[:, 0], rtol=1e-5, atol=0)
    torch.testing.assert_close(louder, strength, rtol=1e-4, atol=1e-4)


def test_the_strongest_candidates_come_first_and_missing_ones_last(mixed):
    _, strength = find_candidates(power_of(mixed), sample_rate=RATE)
    assert (strength[..., 1:] <= strength[..., :-1]).all()
    none = strength == -1
    assert (none[..., 1:] >= none[..., :-1]).all()


def test_the_narrowest_of_ranges_has_one_candidate(device):
    """Two steps of the axis between 300 and 330 Hz: whatever lies elsewhere is none."""
    within = F0Range(300.0, 330.0)
    f0_hz, strength = candidates_of(voice(305, 20).to(device), f0_range=within)
    assert (cents(f0_hz[:, 0], 305) < 5).all()
    assert (strength[:, 0] > 0.8).all()
    assert ((f0_hz >= 300) & (f0_hz <= 330)).all()


@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
def test_other_sample_rates_give_the_same_pitch(rate, pulses, device):
    cut = frames.frame(
        pulses(200, 0.5, rate)[None].to(device), window=frames.to_samples(FRAME_S, rate), hop=rate // 100
    )
    f0_hz, strength = find_candidates(harmonic_power(cut, sample_rate=rate), sample_rate=rate)
    assert (cents(f0_hz[..., 0], 200) < 15).all()
    assert (strength[..., 0] > VOICING_THRESHOLD).all()
