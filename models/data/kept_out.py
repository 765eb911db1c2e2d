"""Voices kept out of all training of the shipped models, by a hash of their label: they judge what is shipped."""

from data_contracts.fingerprint import digest

_ONE_IN = 8


def is_kept_out(speaker: str) -> bool:
    """Return whether a labelled speaker is one of the eighth that no shipped model learns from.

    The rule needs no list, so a corpus may grow or shrink; clips without a label are never kept out.

    >>> [is_kept_out(name) for name in ("libri-1040", "libri-103", "")]
    [True, False, False]
    """
    return _eighth(speaker) == 0


def is_for_calibration(speaker: str) -> bool:
    """Return whether a labelled speaker is one of a second eighth, on whom thresholds and calibrations are set.

    >>> [is_for_calibration(name) for name in ("libri-1040", "libri-1081", "")]
    [False, False, False]
    """
    return _eighth(speaker) == 1


def _eighth(speaker: str) -> int | None:
    return int(digest(speaker.encode(), 8), 16) % _ONE_IN if speaker else None
