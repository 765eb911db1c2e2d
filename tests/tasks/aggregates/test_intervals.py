"""Confidence intervals of means over utterances that are clustered by recording."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tasks.aggregates.intervals import mean_by


def _rows(values: dict[str, list[float]]) -> pl.DataFrame:
    rows = [("all", name, value) for name, many in values.items() for value in many]
    return pl.DataFrame(rows, schema={"day": pl.String, "recording": pl.String, "score": pl.Float64}, orient="row")


def _interval(values: dict[str, list[float]]) -> tuple:
    return mean_by(_rows(values), ["day"], "score", cluster="recording").row(0)[1:]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_one_utterance_a_recording_gives_students_interval(values):
    mean, low, high = _interval({str(n): [value] for n, value in enumerate(values)})
    half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    assert (mean, low, high) == pytest.approx((sum(values) / len(values), mean - half, mean + half), abs=1e-12)


def test_duplicated_utterances_do_not_narrow_the_interval():
    values = {"a": [0.2], "b": [0.4], "c": [0.9]}
    assert _interval({name: many * 7 for name, many in values.items()}) == pytest.approx(_interval(values))


def test_recordings_that_differ_from_each_other_keep_it_wide():
    together, apart = {"a": [0.1, 0.1], "b": [0.9, 0.9]}, {"a": [0.1, 0.9], "b": [0.9, 0.1]}
    assert _interval(apart) == pytest.approx((0.5, 0.5, 0.5))
    mean, low, high = _interval(together)
    assert mean == pytest.approx(0.5)
    assert high - low > 1, "two recordings say little"


def test_recordings_of_unequal_length_match_the_formula():
    """By hand: residuals ±(0.5 - mean), se² = G/(G-1) · Σ residual² / 4² of two recordings; t of one degree."""
    mean, low, high = _interval({"a": [0.2, 0.3, 0.7], "b": [0.5]})
    residual = 0.5 - 1.7 / 4
    half = stats.t.ppf(0.975, 1) * (2 * 2 * residual**2) ** 0.5 / 4
    assert (mean, low, high) == pytest.approx((1.7 / 4, 1.7 / 4 - half, 1.7 / 4 + half))


def test_one_recording_has_no_interval_and_no_rows_no_mean():
    assert _interval({"a": [0.2, 0.4]}) == (pytest.approx(0.3), None, None)
    assert mean_by(_rows({}), ["day"], "score", cluster="recording").is_empty()
