"""Selection of the analysed channels: their mix, each for itself, or one of them."""

import re
from collections.abc import Sequence

import numpy as np

from data_contracts.errors import UsageError

MAX_CHANNELS = 32  # analysed each for itself
_WORDS = {"left": 0, "right": 1}


def check_selection(wanted: str) -> None:
    """Raise UsageError unless `wanted` is mix, each, left, right or a channel's number from 0."""
    if wanted not in {"mix", "each", *_WORDS} and not re.fullmatch(r"\d{1,2}", wanted):
        raise UsageError(f"channels: expected mix, each, left, right or a channel's number from 0; found {wanted!r}")


def select(wanted: str, n_channels: int) -> list[int] | str:
    """Return the numbers of the channels to analyse (0 for a mix), or an error in words where they do not exist.

    >>> select("mix", 2), select("each", 2), select("right", 2)
    ([0], [0, 1], [1])
    >>> select("right", 1)
    'expected a channel 1 (right), found 1 channel: channel 0'
    """
    if wanted == "mix":
        return [0]
    if wanted == "each":
        if n_channels > MAX_CHANNELS:
            return f"expected at most {MAX_CHANNELS} channels to analyse each for itself, found {n_channels}"
        return list(range(n_channels))
    number = _WORDS[wanted] if wanted in _WORDS else int(wanted)
    if number >= n_channels:
        held = "1 channel: channel 0" if n_channels == 1 else f"{n_channels} channels: 0 to {n_channels - 1}"
        return f"expected a channel {number}{f' ({wanted})' if wanted in _WORDS else ''}, found {held}"
    return [number]


def signals(block: np.ndarray, wanted: str, numbers: list[int], mixed: Sequence[int] = ()) -> list[np.ndarray]:
    """Return the (frames,) signals to analyse of a (frames, channels) block, in the order of `numbers`.

    A mix is that of the channels `mixed`, of all where it is empty.
    """
    if wanted == "mix":
        return [mix(block[:, list(mixed)] if mixed else block)]
    return [np.ascontiguousarray(block[:, number]) for number in numbers]


def mix(block: np.ndarray) -> np.ndarray:
    """Return the (frames,) mean of (frames, channels); a copy in the other order makes it several times faster."""
    if block.shape[1] == 1:
        return block[:, 0]
    mean: np.ndarray = block.T.copy().mean(axis=0)
    return mean
