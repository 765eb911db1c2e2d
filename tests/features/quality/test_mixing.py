"""Choice of the mixed channels: those that carry sound; one alone where they cancel each other."""

import numpy as np
import pytest
from helpers.audio_files import voice

from data_contracts.errors import UsageError
from features.quality.mixing import MixSurvey

RATE = 16_000
VOICE = voice(4.0)[:, 0]
OTHER = voice(5.0)[RATE:, 0][::-1]
ZERO = np.zeros_like(VOICE)
NOISE = np.random.default_rng(0).standard_normal((6, len(VOICE))).astype(np.float32)
RUMBLE = (0.5 * np.sin(2 * np.pi * 45 * np.arange(len(VOICE)) / RATE)).astype(np.float32)


def survey(*channels, rate=RATE, n_block=10**9):
    samples = np.stack(channels, axis=1).astype(np.float32)
    surveyed = MixSurvey(rate, len(channels))
    for at in range(0, len(samples), n_block):
        surveyed.add(samples[at : at + n_block])
    return surveyed.mixed()


@pytest.mark.parametrize(
    "channels",
    [
        (VOICE,),
        (VOICE, VOICE),
        (VOICE, OTHER),
        (VOICE, 0.01 * OTHER),
        (VOICE, 0.3 * VOICE + OTHER),
        (VOICE, np.roll(VOICE, 8)),
        (VOICE, np.roll(VOICE, 160)),
        (VOICE, 1e-3 * NOISE[0]),
        (ZERO, ZERO),
        (1e-5 * VOICE, 1e-5 * OTHER),
        (VOICE, RUMBLE + 0.03 * OTHER),
        tuple(VOICE + 0.01 * noise for noise in NOISE),
    ],
    ids=lambda channels: str(len(channels)),
)
def test_ordinary_recordings_are_mixed_of_all_channels(channels):
    assert survey(*channels) == ((), None)


@pytest.mark.parametrize(
    ("channels", "mixed"),
    [
        ((VOICE, ZERO), (0,)),
        ((ZERO, VOICE), (1,)),
        ((VOICE, 1e-5 * NOISE[0]), (0,)),
        ((ZERO, ZERO, VOICE, ZERO, ZERO, ZERO), (2,)),
        ((ZERO, ZERO, VOICE, RUMBLE, ZERO, ZERO), (2,)),
        ((VOICE, VOICE, VOICE, RUMBLE, 0.1 * OTHER, 0.1 * OTHER), (0, 1, 2, 4, 5)),
        ((VOICE, ZERO, OTHER), (0, 2)),
    ],
)
def test_what_carries_no_sound_is_left_out(channels, mixed):
    assert survey(*channels) == (mixed, None)


def test_one_word_in_an_hour_carries_sound():
    word = np.concatenate([np.zeros(60 * RATE, np.float32), 0.01 * VOICE[:RATE]])
    talk = np.tile(VOICE, 16)[: len(word)]
    assert survey(talk, word) == ((), None)


@pytest.mark.parametrize(
    "channels",
    [
        (VOICE, -VOICE),
        (VOICE, -0.6 * VOICE),
        (VOICE + 0.005 * NOISE[0], 0.005 * NOISE[1] - VOICE),
        (VOICE, -np.roll(VOICE, 1)),
        (np.concatenate([VOICE, OTHER, OTHER]), np.concatenate([-VOICE, OTHER, OTHER])),
        (0.9 * VOICE, -0.9 * VOICE, ZERO, ZERO, ZERO, ZERO),
    ],
)
def test_of_channels_that_cancel_each_other_one_is_analysed(channels):
    mixed, flaw = survey(*channels)
    assert mixed == (0,)
    assert flaw.startswith("inverted: ")
    assert "channel 0 alone" in flaw


def test_a_voice_in_opposite_phase_only_in_one_of_two_turns_is_heard():
    """The customer is in both channels with opposite signs, the agent in the right one alone."""
    mixed, flaw = survey(np.concatenate([VOICE, ZERO]), np.concatenate([-VOICE, OTHER]))
    assert mixed == (1,)
    assert flaw


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_blocks_and_rates_change_nothing(rate):
    made = voice(3.0, rate)[:, 0]
    for channels in ((made, -made), (made, np.zeros_like(made)), (made, made)):
        whole = survey(*channels, rate=rate)
        assert survey(*channels, rate=rate, n_block=777) == whole == survey(*channels, rate=rate, n_block=10_001)


def test_the_survey_ends_after_a_minute_of_ordinary_sound():
    surveyed = MixSurvey(RATE, 2)
    stereo = np.stack([VOICE, OTHER], axis=1)
    for _ in range(14):
        surveyed.add(stereo)
    assert not surveyed.is_settled
    for _ in range(2):
        surveyed.add(stereo)
    assert surveyed.is_settled
    surveyed.add(np.stack([VOICE, -VOICE], axis=1))
    assert surveyed.mixed() == ((), None)


def test_broken_samples_and_very_short_ones_end_well():
    assert survey(np.full(100, np.nan), np.full(100, np.inf))[1] is None
    assert survey(VOICE[:1], VOICE[:1]) == ((), None)
    assert survey(VOICE[:0], VOICE[:0]) == ((), None)
    with pytest.raises(UsageError, match="expected 4000 Hz"):
        MixSurvey(100, 2)
