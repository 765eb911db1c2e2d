"""Diarization metrics: error rate with its parts, purity and coverage, from who is said to speak when.

Diarization error rate (NIST, The 2009 RT-09 Evaluation Plan): DER = (miss + false alarm + confusion) / seconds of the
reference, overlapped speech counted for each of its speakers. Purity and coverage are by seconds, over what both call
speech (Bredin, pyannote.metrics, Interspeech 2017).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from models.metrics.speaker_turns import Turn

Together = dict[tuple[str, str], float]
"""Seconds in which a speaker of the reference and a found one speak."""


class Stretch(NamedTuple):
    """A stretch of time in which neither side changes: who speaks by the reference, and by what was found."""

    seconds: float
    true: frozenset[str]
    found: frozenset[str | None]


@dataclass
class DiarizationErrors:
    """Seconds of each kind of error; they add up over recordings."""

    reference_s: float = 0.0
    miss_s: float = 0.0
    false_alarm_s: float = 0.0
    confusion_s: float = 0.0

    def add(self, other: "DiarizationErrors") -> None:
        self.reference_s += other.reference_s
        self.miss_s += other.miss_s
        self.false_alarm_s += other.false_alarm_s
        self.confusion_s += other.confusion_s

    def rates(self) -> dict[str, float]:
        """Return the error rate and its parts, as shares of the reference; NaN of a reference without speech."""
        parts = {"miss": self.miss_s, "false_alarm": self.false_alarm_s, "confusion": self.confusion_s}
        whole = self.reference_s or float("nan")
        return {name: round(seconds / whole, 4) for name, seconds in {"der": sum(parts.values()), **parts}.items()}


@dataclass
class Conversation:
    """One recording: the reference and what was found, cut into stretches."""

    true: Sequence[Turn]
    found: Sequence[Turn]
    stretches: list[Stretch] = field(init=False)

    def __post_init__(self) -> None:
        self.stretches = list(cut(self.true, self.found))

    def without_collar(self, collar_s: float) -> list[Stretch]:
        """Return the stretches farther than `collar_s` from every beginning and end of the reference."""
        if collar_s == 0:
            return self.stretches
        edges = {edge for turn in self.true for edge in turn[:2]}
        return list(cut(self.true, self.found, [(edge - collar_s, edge + collar_s) for edge in edges]))


def cut(
    true: Iterable[Turn],
    found: Iterable[Turn],
    ignored: Iterable[tuple[float, float]] = (),
) -> Iterable[Stretch]:
    """Yield the stretches in which anybody speaks on either side, without the `ignored` times."""
    events: list[tuple[float, int, int, str | None]] = []
    sides = (list(true), list(found), [Turn(start, end, "") for start, end in ignored])
    for side, turns in enumerate(sides):
        for start, end, speaker in turns:
            if end > start:
                events += [(start, 1, side, speaker), (end, -1, side, speaker)]
    now: tuple[dict[str | None, int], ...] = ({}, {}, {})
    since = 0.0
    for time_s, step, side, speaker in sorted(events, key=lambda event: event[0]):
        if time_s > since and not now[2] and (now[0] or now[1]):
            yield Stretch(time_s - since, frozenset(str(name) for name in now[0]), frozenset(now[1]))
        since = time_s
        count = now[side].get(speaker, 0) + step
        now[side][speaker] = count
        if count == 0:
            del now[side][speaker]


def together(stretches: Iterable[Stretch]) -> Together:
    """Return for how many seconds each true speaker and each found one speak at once."""
    seconds: Together = {}
    for stretch in stretches:
        for name in stretch.true:
            for other in stretch.found:
                if other is not None:
                    seconds[name, other] = seconds.get((name, other), 0.0) + stretch.seconds
    return seconds


def best_mapping(seconds: Together) -> dict[str, str]:
    """Return which true speaker each found one stands for, one to one, so that most seconds agree (Kuhn, 1955)."""
    from scipy.optimize import linear_sum_assignment

    if not seconds:
        return {}
    table, trues, founds = _table(seconds)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return {founds[j]: trues[i] for i, j in zip(rows, columns, strict=True) if table[i, j] > 0}


def errors(stretches: Iterable[Stretch], mapping: Mapping[str, str]) -> DiarizationErrors:
    """Return the seconds of errors where found speakers stand for true ones by `mapping`."""
    found = DiarizationErrors()
    for seconds, true, others in stretches:
        right = len(true & {mapping.get(other) for other in others if other is not None})
        found.reference_s += seconds * len(true)
        found.miss_s += seconds * max(0, len(true) - len(others))
        found.false_alarm_s += seconds * max(0, len(others) - len(true))
        found.confusion_s += seconds * (min(len(true), len(others)) - right)
    return found


def purity_and_coverage(seconds: Together) -> tuple[float, float]:
    """Return the shares of the seconds that are of their found speaker's main voice, and of their voice's main one.

    >>> purity_and_coverage({("a", "x"): 1.0, ("a", "y"): 2.0, ("b", "y"): 1.0})
    (0.75, 0.75)
    """
    if not seconds:
        return float("nan"), float("nan")
    table, _, _ = _table(seconds)
    return float(table.max(0).sum() / table.sum()), float(table.max(1).sum() / table.sum())


def _table(seconds: Together) -> tuple[np.ndarray, list[str], list[str]]:
    """Return the seconds as an array (true, found), and the names of its rows and columns."""
    trues, founds = (sorted({pair[side] for pair in seconds}) for side in (0, 1))
    table = np.zeros((len(trues), len(founds)))
    for (name, other), value in seconds.items():
        table[trues.index(name), founds.index(other)] = value
    return table, trues, founds
