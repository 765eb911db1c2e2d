"""Diarization metrics against cases worked by hand."""

import math
from itertools import permutations

import numpy as np
import pytest

from models.metrics.diarization import (
    Conversation,
    DiarizationErrors,
    best_mapping,
    errors,
    purity_and_coverage,
    together,
)
from models.metrics.speaker_turns import Turn

TRUE = [Turn(0, 10, "A"), Turn(12, 20, "B"), Turn(24, 27, "A"), Turn(30, 40, "C")]
FOUND = [Turn(2, 13, "a"), Turn(13, 14, "d"), Turn(14, 20, "b"), Turn(22, 38, "c"), Turn(38, 40, "d")]


def judge(true: list[Turn], found: list[Turn], collar_s: float = 0.0) -> DiarizationErrors:
    stretches = Conversation(true, found).without_collar(collar_s)
    return errors(stretches, best_mapping(together(stretches)))


def test_the_worked_example_of_pyannote_metrics() -> None:
    """31 s: missed 0 to 2; false alarm 10 to 12, 20 to 24 less 22, 27 to 30; confused: 12 to 14, 24 to 27, 38 to 40."""
    result = judge(TRUE, FOUND)
    assert (result.reference_s, result.miss_s, result.false_alarm_s, result.confusion_s) == (31, 2, 7, 7)
    assert result.rates() == {"der": 0.5161, "miss": 0.0645, "false_alarm": 0.2258, "confusion": 0.2258}


def test_overlapped_speech_counts_for_each_speaker() -> None:
    true = [Turn(0, 10, "A"), Turn(6, 12, "B")]
    one_voice = judge(true, [Turn(0, 12, "x")])
    assert (one_voice.reference_s, one_voice.miss_s, one_voice.false_alarm_s, one_voice.confusion_s) == (16, 4, 0, 2)
    both = judge(true, [Turn(0, 10, "x"), Turn(6, 12, "y")])
    assert (both.miss_s, both.false_alarm_s, both.confusion_s) == (0, 0, 0)


def test_a_collar_takes_time_away_on_both_sides_of_every_edge_of_the_reference() -> None:
    """A second too early and too late: of each, a quarter lies in the collar, and so does half a second of speech."""
    result = judge([Turn(10, 20, "A")], [Turn(9, 21, "x")], collar_s=0.25)
    assert (result.reference_s, result.false_alarm_s, result.miss_s) == (9.5, 1.5, 0)


def test_speech_of_nobody_known_is_found_and_is_never_the_right_voice() -> None:
    result = judge([Turn(0, 4, "A")], [Turn(0, 3, None)])
    assert (result.miss_s, result.confusion_s) == (1, 3)


def test_a_speaker_said_twice_at_once_is_one() -> None:
    result = judge([Turn(0, 4, "A"), Turn(2, 6, "A")], [Turn(0, 6, "x"), Turn(1, 2, "x")])
    assert (result.reference_s, result.rates()["der"]) == (6, 0)


def test_nothing_found_is_missed_and_nothing_true_is_no_number() -> None:
    assert judge([Turn(0, 4, "A")], []).rates()["der"] == 1
    assert math.isnan(judge([], [Turn(0, 4, "x")]).rates()["der"])


def test_the_mapping_is_the_best_of_all() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        seconds = {(name, other): float(random.integers(0, 9)) for name in "ABC" for other in "wxyz"}
        kept = sum(seconds[true, found] for found, true in best_mapping(seconds).items())
        assert kept == max(sum(seconds[pair] for pair in zip("ABC", order)) for order in permutations("wxyz", 3))  # noqa: B905


@pytest.mark.parametrize(("found", "expected"), [(["x", "x"], (0.6, 1.0)), (["x", "y"], (1.0, 1.0))])
def test_purity_and_coverage_by_seconds(found: list[str], expected: tuple[float, float]) -> None:
    true = [Turn(0, 6, "A"), Turn(6, 10, "B")]
    turns = [Turn(0, 6, found[0]), Turn(6, 10, found[1])]
    assert purity_and_coverage(together(Conversation(true, turns).stretches)) == expected
