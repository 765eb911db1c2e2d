"""Conditions of the licences of speech, as `labels.csv` names them."""

import re

_CONDITIONS = {  # of a licence, and the words for them in Creative Commons' and a few other common licences
    "no derivatives": r"\bnd\b|no ?deriv",
    "not commercial": r"\bnc\b|non-?commercial|research|academic",
    "share alike": r"\bsa\b|share-?alike|\bgpl|\bodbl",
    "attribution": r"\bcc[\s-]*by\b|attribution|\bmit\b|\bbsd|\bapache",
}
_NO_CONDITIONS = r"\bcc-?0\b|public domain|\bfree\b|unlicen[cs]e|\bpddl"


def is_restrictive(licence: str) -> bool:
    """Return whether a licence asks more than attribution: what learns from such data is not free for any use.

    A licence that is missing or not understood is taken for that of one's own data.

    >>> [is_restrictive(name) for name in ("CC BY 4.0", "Apache-2.0", "CC BY-SA 4.0", "CC BY-NC-SA 4.0", "")]
    [False, False, True, True, False]
    """
    return not (conditions(licence) or frozenset()) <= {"attribution"}


def conditions(licence: str) -> frozenset[str] | None:
    """Return the conditions of a licence; None where it is not understood."""
    found = frozenset(name for name, words in _CONDITIONS.items() if re.search(words, licence.lower()))
    return found if found or re.search(_NO_CONDITIONS, licence.lower()) else None
