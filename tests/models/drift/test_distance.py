"""Drift distances: zero without a change, known values for known changes, and thresholds of chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.drift.distance import DriftConfig, Sample, compare, deciles, is_enough, psi

CONFIG = DriftConfig()
_TALLY = st.lists(st.integers(0, 1000), min_size=1, max_size=12).filter(any).map(np.array)


def _sample(values, n=1000, n_days=28):
    return Sample(np.asarray(values, float), n_days, n, n)


@given(_TALLY, st.integers(1, 50))
def test_the_same_mix_is_no_distance_however_much_of_it(tally, times):
    assert psi(tally, times * tally) == pytest.approx(0, abs=1e-12)


@given(st.data())
def test_the_index_is_as_far_there_as_back_and_never_negative(data):
    one = data.draw(_TALLY)
    other = data.draw(st.lists(st.integers(0, 1000), min_size=len(one), max_size=len(one)).filter(any).map(np.array))
    assert psi(one, other) >= 0
    assert psi(one, other) == pytest.approx(psi(other, one))


def test_the_index_of_a_known_shift():
    """(0.5 - 0.25) ln 2 + (0.5 - 0.75) ln (2/3), with tallies so large that one more changes nothing."""
    expected = 0.25 * np.log(2) + -0.25 * np.log(2 / 3)
    assert psi(np.array([5e9, 5e9]), np.array([25e8, 75e8])) == pytest.approx(expected, abs=1e-6)


def test_a_class_that_was_never_seen_is_not_infinitely_far():
    assert 5 < psi(np.array([0, 1000]), np.array([1000, 0])) < 20


@given(_TALLY)
def test_deciles_are_places_that_rise_from_the_first(reference):
    starts = deciles(reference)
    assert starts[0] == 0
    assert (np.diff(starts) > 0).all()
    assert starts[-1] < len(reference)


def test_deciles_of_even_counts_are_tenths():
    assert deciles(np.ones(100)).tolist() == list(range(0, 100, 10))


def test_a_value_that_everything_has_is_a_bin_of_its_own():
    assert deciles(np.array([0, 50, 0])).tolist() == [0, 1, 2]


def test_chance_takes_days_of_one_population_over_the_threshold_as_rarely_as_is_said():
    """2,000 days of 200 recordings, each of one utterance, against 28 such: one in a hundred may be called drift."""
    random, n_days = np.random.default_rng(0), 2000
    eager = DriftConfig(psi=1e-9, share=1e-9, cosine=1e-9)
    reference = _sample(random.multinomial(5600, np.full(10, 0.1)), 5600)
    days = random.multinomial(200, np.full(10, 0.1), n_days)
    n_over = sum(compare("psi", _sample(day, 200), reference, eager, n_measures=1).is_over for day in days)
    assert 1 <= n_over <= 2 * 0.01 * n_days
    before = _sample([560, 5600], 5600)
    shares = (_sample([n, 200], 200) for n in random.binomial(200, 0.1, n_days))
    assert sum(compare("share", day, before, eager, n_measures=1).is_over for day in shares) <= 2 * 0.01 * n_days


def test_voices_of_one_crowd_are_near_and_of_another_far():
    random = np.random.default_rng(1)
    here, there = random.normal(0, 1, (2, 64))

    def crowd(n, middle):
        vectors = random.normal(0, 2, (n, 64)) + middle
        return _sample((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).sum(axis=0), n)

    before = crowd(3000, here)
    eager = DriftConfig(cosine=1e-9)
    assert not any(
        compare("cosine", crowd(n, here), before, eager, n_measures=92).is_over for n in [20, 100, 1000] * 30
    )
    found = compare("cosine", crowd(500, there), before, CONFIG, n_measures=92)
    assert found.is_over
    assert found.value == pytest.approx(1 - here @ there / np.linalg.norm(here) / np.linalg.norm(there), abs=0.1)


def test_shares_differ_by_their_difference():
    found = compare("share", _sample([40, 100]), _sample([100, 1000]), CONFIG, n_measures=92)
    assert (found.value, found.is_over) == (pytest.approx(0.3), True)
    assert not compare("share", _sample([15, 100]), _sample([100, 1000]), CONFIG, n_measures=92).is_over
    nothing = compare("share", _sample([0, 100]), _sample([0, 1000]), CONFIG, n_measures=92)
    assert (nothing.value, nothing.threshold, nothing.is_over) == (0, CONFIG.share, False)


def test_few_recordings_raise_the_threshold():
    """As χ² says of ten classes: with 20 recordings a distance is told that chance would hardly make."""
    found = compare("psi", _sample(np.ones(10), 20), _sample(np.ones(10), 10**9), CONFIG, n_measures=92)
    assert found.threshold == pytest.approx(stats.chi2.ppf(1 - 0.01 / 92, 9) / 20, rel=1e-3)


@pytest.mark.parametrize(
    ("day", "before", "of_recordings", "enough"),
    [
        (Sample(np.ones(1), 1, 20, 100), Sample(np.ones(1), 7, 20, 100), False, True),
        (Sample(np.ones(1), 1, 20, 100), Sample(np.ones(1), 6, 20, 100), False, False),
        (Sample(np.ones(1), 1, 19, 100), Sample(np.ones(1), 7, 20, 100), False, False),
        (Sample(np.ones(1), 1, 20, 99), Sample(np.ones(1), 7, 20, 100), False, False),
        (Sample(np.ones(1), 1, 20, 100), Sample(np.ones(1), 7, 20, 99), False, False),
        (Sample(np.ones(1), 1, 20, 0), Sample(np.ones(1), 7, 20, 0), True, True),
    ],
)
def test_too_little_says_nothing(day, before, of_recordings, enough):
    assert is_enough(day, before, CONFIG, counts_recordings=of_recordings) is enough
