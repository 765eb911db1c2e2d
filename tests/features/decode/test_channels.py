"""Selection of the analysed channels."""

import numpy as np
import pytest

from data_contracts.errors import UsageError
from features.decode import channels

BLOCK = np.array([[0.5, 0.1, -0.3], [1.0, 0.0, 0.2]], np.float32)


@pytest.mark.parametrize(
    ("wanted", "numbers", "signals"),
    [
        ("mix", [0], [[0.1, 0.4]]),
        ("each", [0, 1, 2], [[0.5, 1.0], [0.1, 0.0], [-0.3, 0.2]]),
        ("left", [0], [[0.5, 1.0]]),
        ("right", [1], [[0.1, 0.0]]),
        ("2", [2], [[-0.3, 0.2]]),
    ],
)
def test_signals_are_the_selected_channels(wanted, numbers, signals):
    assert channels.select(wanted, 3) == numbers
    found = channels.signals(BLOCK, wanted, numbers)
    np.testing.assert_allclose(found, signals, atol=1e-7)


def test_a_mix_may_leave_channels_out():
    (found,) = channels.signals(BLOCK, "mix", [0], (0, 2))
    np.testing.assert_allclose(found, [0.1, 0.6], atol=1e-7)


def test_a_missing_channel_is_an_error_in_words():
    assert "found 3 channels: 0 to 2" in channels.select("3", 3)
    assert "at most 32" in channels.select("each", 33)


@pytest.mark.parametrize("wanted", ["", "both", "-1", "100", "Left"])
def test_other_words_are_refused(wanted):
    with pytest.raises(UsageError, match="expected mix, each, left, right"):
        channels.check_selection(wanted)
