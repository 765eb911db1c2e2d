"""Shares expected of the emotions: spellings, and what is refused."""

import pytest

from data_contracts.emotion_prior import expected_shares, normalize_prior
from data_contracts.errors import UsageError

CLASSES = ("anger", "happiness", "neutral", "sadness")


def test_natural_speech_is_mostly_neutral() -> None:
    shares = expected_shares("natural", CLASSES)
    assert shares == pytest.approx((0.05, 0.05, 0.85, 0.05))


def test_a_share_of_nothing_is_a_small_one() -> None:
    shares = expected_shares("neutral=1", CLASSES)
    assert shares is not None
    assert min(shares) > 0
    assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize(
    "text", ["", "usual", "anger", "anger=x", "anger=1.2", "anger=-0.1", "anger=0.6,neutral=0.6", "=1"]
)
def test_what_is_no_prior_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected natural, balanced, or shares"):
        normalize_prior(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [("calm=0.5", "found calm"), ("anger=0.2,happiness=0.2,neutral=0.2,sadness=0.2", "found 0.8")],
)
def test_shares_fit_the_model(text: str, found: str) -> None:
    with pytest.raises(UsageError, match=found):
        expected_shares(text, CLASSES)
