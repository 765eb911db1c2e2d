"""Bootstrap intervals over speakers."""

import numpy as np
import pytest

from models.metrics.bootstrap import interval_by_speaker


def test_interval_covers_the_mean_of_many_speakers() -> None:
    random = np.random.default_rng(0)
    speakers = np.repeat(np.arange(200).astype(str), 5)
    values = np.repeat(random.normal(0.0, 1.0, 200), 5)  # a speaker's clips say the same: 200 witnesses, not 1000
    low, high = interval_by_speaker(lambda rows: float(values[rows].mean()), speakers)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(200), rel=0.15)


def test_the_same_seed_gives_the_same_interval() -> None:
    speakers, values = ["a", "a", "b", "c"], np.array([0.0, 1.0, 1.0, 0.0])
    both = [interval_by_speaker(lambda rows: float(values[rows].mean()), speakers, n=50, seed=4) for _ in range(2)]
    assert both[0] == both[1]


def test_one_speaker_has_no_interval() -> None:
    assert np.isnan(interval_by_speaker(lambda rows: 1.0, ["a", "a"])).all()
