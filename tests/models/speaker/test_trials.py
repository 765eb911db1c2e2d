"""Trials from labelled speech: pairs, halves and cuts."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from data_contracts.errors import UsageError
from features.decode.config import SAMPLE_RATE
from models.data.labelled_speech import Speech
from models.speaker.trials import (
    cut_to_length,
    embed_speech,
    halve_single_clips,
    pair_trials,
    shorten_every_second,
    utterance_pairs,
)


class _ByFirstSample:
    """Encoder that reads the voice as an angle from the first sample."""

    def embed(self, waveform: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return torch.stack([waveform[:, 0].cos(), waveform[:, 0].sin()], dim=1)


def test_trials_pair_within_corpora_and_halve_only_clips(spoken: Callable[..., Speech]) -> None:
    def clip(angle: float, **who: str) -> Speech:
        return spoken(np.full(100, angle, np.float32), **who)

    speech = [
        *(clip(0.0, speaker="a"), clip(0.1, speaker="a"), clip(1.5, speaker="b"), clip(1.6, speaker="b")),
        *(clip(0.0, speaker="c", corpus="street"), clip(2.0, speaker="d", corpus="street")),
    ]
    trials = pair_trials(embed_speech(_ByFirstSample(), halve_single_clips(speech)))
    assert len(trials.scores) == 6 + 6  # pairs of four clips, and of four halves
    assert trials.same.sum() == 2 + 2
    assert trials.weights[trials.same].sum() == pytest.approx(1)
    assert trials.weights[~trials.same].sum() == pytest.approx(1)
    assert trials.eer() == 0


def test_one_speaker_makes_no_trials(spoken: Callable[..., Speech]) -> None:
    with pytest.raises(UsageError, match="two speakers or more, found 2 utterances of 1"):
        pair_trials(embed_speech(_ByFirstSample(), [spoken(np.ones(9, np.float32), speaker="a")] * 2))


def _ramp(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * SAMPLE_RATE), dtype=np.float32)


def test_cut_takes_beginnings_and_joins_what_is_short(spoken: Callable[..., Speech]) -> None:
    speech = [spoken(_ramp(s), speaker="a") for s in (3.0, 0.6, 0.7, 0.2)]
    cut = cut_to_length(speech, 1.0)
    assert [len(item.waveform) for item in cut] == [SAMPLE_RATE] * 2  # the last 0.2 s are too little
    np.testing.assert_array_equal(cut[0].waveform, _ramp(1.0))
    np.testing.assert_array_equal(cut[1].waveform, np.concatenate([_ramp(0.6), _ramp(0.7)])[:SAMPLE_RATE])


def test_cut_of_an_only_clip_never_overlaps(spoken: Callable[..., Speech]) -> None:
    only = [spoken(_ramp(3.0), speaker="a")]
    beginning, end = cut_to_length(only, 1.5)
    np.testing.assert_array_equal(np.concatenate([beginning.waveform, end.waveform]), _ramp(3.0))
    assert cut_to_length(only, 2.0) == []


def test_shortened_cuts_every_second_utterance_alone(spoken: Callable[..., Speech]) -> None:
    speech = [spoken(_ramp(3.0), speaker="a"), spoken(_ramp(3.0), speaker="b"), spoken(_ramp(0.3), speaker="b")] * 2
    lengths = [len(item.waveform) / SAMPLE_RATE for item in shorten_every_second(speech, lengths_s=(1.0,), seed=0)]
    assert lengths == [3.0, 1.0, 0.3, 1.0, 3.0, 0.3]


def test_pairs_are_in_the_order_of_the_trials(spoken: Callable[..., Speech]) -> None:
    speech = [spoken(np.full(9, angle, np.float32), speaker=who) for angle, who in ((0.0, "a"), (0.3, "b"), (1.0, "a"))]
    utterances = embed_speech(_ByFirstSample(), speech)
    first, second = utterance_pairs(utterances)
    expected = np.cos(np.array([0.0, 0.3, 1.0])[first] - np.array([0.0, 0.3, 1.0])[second])
    np.testing.assert_allclose(pair_trials(utterances).scores, expected, atol=1e-6)
