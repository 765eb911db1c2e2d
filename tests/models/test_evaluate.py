import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from data_contracts.errors import UsageError
from models.encoder import EncoderConfig, network
from models.evaluate import evaluate_speaker
from models.labels import Speech, read_labels, read_speech
from models.speaker import SpeakerModel
from models.verification import Trials, trials_between

TINY = EncoderConfig(dim=16, channels=16, merged_channels=24, attention_channels=8, window_s=0.5)


def _trials(same: list[float], other: list[float]) -> Trials:
    weights = [1 / len(same)] * len(same) + [1 / len(other)] * len(other)
    labels = [True] * len(same) + [False] * len(other)
    return Trials(np.array(same + other), np.array(labels), np.array(weights), top1=1.0)


def test_voices_that_never_overlap_have_no_error() -> None:
    trials = _trials([0.9, 0.8], [0.1, 0.2, 0.3])
    assert trials.eer() == 0
    assert trials.min_dcf() == 0
    assert 0.3 < trials.threshold(0.01) < 0.8


def test_equal_error_rate_of_a_known_list() -> None:
    # between 0.4 and 0.5 one of four others is above and one of four same voices below
    assert _trials([0.9, 0.8, 0.5, 0.3], [0.6, 0.4, 0.2, 0.1]).eer() == pytest.approx(0.25)


def test_cosines_that_say_nothing_are_a_coin() -> None:
    assert _trials([0.5, 0.5], [0.5, 0.5]).eer() == pytest.approx(0.5)
    assert _trials([0.1], [0.9]).eer() == pytest.approx(1.0)


def test_detection_cost_never_exceeds_saying_no() -> None:
    assert _trials([0.1], [0.9]).min_dcf() == 1.0
    assert _trials([0.9, 0.1], [0.5]).min_dcf() == pytest.approx(0.5)


def test_threshold_keeps_the_false_accept_rate() -> None:
    random = np.random.default_rng(0)
    trials = _trials(random.normal(0.6, 0.1, 500).tolist(), random.normal(0.0, 0.2, 5_000).tolist())
    accepted = trials.cosines[~trials.same] >= trials.threshold(0.01)
    assert accepted.mean() == pytest.approx(0.01, abs=0.0005)
    assert (_trials([0.1], [0.9]).cosines >= _trials([0.1], [0.9]).threshold(0.01)).sum() == 0


def test_calibration_finds_the_curve_that_made_the_answers() -> None:
    random = np.random.default_rng(0)
    cosines = random.uniform(-1, 1, 40_000)
    same = random.random(40_000) < 1 / (1 + np.exp(-(6 * cosines - 1)))
    trials = Trials(cosines, same, np.full(40_000, 1 / 20_000), 1.0)
    slope, offset = trials.calibration()
    assert slope == pytest.approx(6, rel=0.05)
    assert offset == pytest.approx(-1, abs=0.1)


class _ByFirstSample:
    """An encoder whose voice is the angle in the first sample."""

    def embed(self, waveform: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return torch.stack([waveform[:, 0].cos(), waveform[:, 0].sin()], dim=1)


def test_trials_pair_within_corpora_and_halve_only_clips(spoken: Callable[..., Speech]) -> None:
    def clip(angle: float, **who: str) -> Speech:
        return spoken(np.full(100, angle, np.float32), **who)

    speech = [
        *(clip(0.0, speaker="a"), clip(0.1, speaker="a"), clip(1.5, speaker="b"), clip(1.6, speaker="b")),
        *(clip(0.0, speaker="c", corpus="street"), clip(2.0, speaker="d", corpus="street")),
    ]
    trials = trials_between(_ByFirstSample(), speech)
    assert len(trials.cosines) == 6 + 6  # pairs of four clips, and of four halves
    assert trials.same.sum() == 2 + 2
    assert trials.weights[trials.same].sum() == pytest.approx(1)
    assert trials.weights[~trials.same].sum() == pytest.approx(1)
    assert (trials.eer(), trials.top1) == (0, 1)


def test_one_speaker_makes_no_trials(spoken: Callable[..., Speech]) -> None:
    with pytest.raises(UsageError, match="two speakers or more, found 2 clips of 1"):
        trials_between(_ByFirstSample(), [spoken(np.ones(9, np.float32), speaker="a")] * 2)


@pytest.mark.usefixtures("_all_is_speech")
def test_speaker_evaluation_leaves_training_clips_out(corpus: Path) -> None:
    torch.manual_seed(0)
    model = SpeakerModel(network(TINY), TINY, threshold=0.5, calibration=(1.0, 0.0))
    names = [item.recording_id for item in read_speech(read_labels([corpus]))]
    model.trained_on = frozenset(names[:32:2])  # every voice of one of the two corpora
    result = evaluate_speaker(model, corpus)
    assert (result["n"], result["n_speakers"], result["n_seen_in_training"]) == (32, 4, 32)
    assert result["n_trials"] == 32 * 31 / 2
    assert set(result["by_corpus"]) == {"street"}
    assert json.loads(json.dumps(result)) == result
    model.trained_on = frozenset(names)
    with pytest.raises(UsageError, match="was not trained on"):
        evaluate_speaker(model, corpus)
