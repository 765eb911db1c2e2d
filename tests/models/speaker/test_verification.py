"""Verification metrics of known scores."""

import numpy as np
import pytest

from models.speaker.verification import Trials


def _trials(same: list[float], other: list[float]) -> Trials:
    weights = [1 / len(same)] * len(same) + [1 / len(other)] * len(other)
    labels = [True] * len(same) + [False] * len(other)
    speakers = np.array([("a", "a")] * len(same) + [("a", "b")] * len(other))
    return Trials(np.array(same + other), np.array(labels), np.array(weights), speakers)


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
    accepted = trials.scores[~trials.same] >= trials.threshold(0.01)
    assert accepted.mean() == pytest.approx(0.01, abs=0.0005)
    assert (_trials([0.1], [0.9]).scores >= _trials([0.1], [0.9]).threshold(0.01)).sum() == 0


def test_calibration_finds_the_curve_that_made_the_answers() -> None:
    random = np.random.default_rng(0)
    scores = random.uniform(-1, 1, 40_000)
    same = random.random(40_000) < 1 / (1 + np.exp(-(6 * scores - 1)))
    trials = Trials(scores, same, np.full(40_000, 1 / 20_000), np.zeros((40_000, 2)))
    slope, offset = trials.calibration()
    assert slope == pytest.approx(6, rel=0.05)
    assert offset == pytest.approx(-1, abs=0.1)


def test_probabilities_that_hold_have_no_calibration_error_and_boasts_have() -> None:
    random = np.random.default_rng(0)
    scores = random.uniform(-1, 1, 40_000)
    same = random.random(40_000) < 1 / (1 + np.exp(-6 * scores))
    trials = Trials(scores, same, np.full(40_000, 1 / 20_000), np.zeros((40_000, 2)))
    assert trials.calibration_error((6.0, 0.0)) < 0.01
    assert trials.calibration_error((60.0, 0.0)) > 0.05
    assert trials.log_cost((6.0, 0.0)) < trials.log_cost((60.0, 0.0))
    assert trials.log_cost((0.0, 0.0)) == pytest.approx(1.0)


def test_rates_at_a_threshold() -> None:
    assert _trials([0.9, 0.1], [0.5, 0.4, 0.0, 0.0]).rates_at(0.5) == (0.25, 0.5)


def test_pooled_parts_count_alike_and_chosen_pairs_are_weighted_anew() -> None:
    pooled = Trials.pool([_trials([0.9], [0.1]), _trials([0.2] * 9, [0.6] * 9)])
    assert pooled.weights[pooled.same].sum() == pytest.approx(1)
    assert pooled.rates_at(0.5) == pytest.approx((0.5, 0.5))
    chosen = pooled.select(pooled.scores != 0.2)
    assert chosen.rates_at(0.5) == pytest.approx((0.5, 0.0))
    assert chosen.weights[~chosen.same].sum() == pytest.approx(1)


def _voices(n: int, spread: float) -> Trials:
    """n speakers of four utterances each, every voice a random direction."""
    random = np.random.default_rng(1)
    voices = random.standard_normal((n, 16)).repeat(4, axis=0)
    vectors = voices + spread * random.standard_normal(voices.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = np.arange(n).repeat(4)
    first, second = np.triu_indices(len(names), 1)
    same = names[first] == names[second]
    weights = np.where(same, 1 / same.sum(), 1 / (~same).sum())
    return Trials((vectors @ vectors.T)[first, second], same, weights, np.stack([names[first], names[second]], axis=1))


def test_intervals_hold_the_figure_and_narrow_with_speakers() -> None:
    wide, narrow = _voices(6, 1.0), _voices(40, 1.0)
    for trials in (wide, narrow):
        spans = trials.intervals()
        assert spans["eer"] is not None
        assert spans["eer"][0] <= trials.eer() + 0.005
        assert trials.eer() - 0.005 <= spans["eer"][1]
        assert spans["min_dcf"] is not None
        assert 0 <= spans["min_dcf"][0] <= spans["min_dcf"][1] <= 1
    spread = [np.diff(trials.intervals()["eer"] or [0, 0])[0] for trials in (wide, narrow)]
    assert spread[1] < spread[0]


def test_a_handful_of_speakers_has_no_interval() -> None:
    assert _voices(4, 1.0).intervals() == {"eer": None, "min_dcf": None}
