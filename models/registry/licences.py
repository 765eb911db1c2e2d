"""Under what licence may weights be used that were trained on data of several licences?"""

import re
from collections.abc import Iterable

_CONDITIONS = {  # what a licence asks for, by the words that say so; Creative Commons' and a few common others
    "no derivatives": r"\bnd\b|no ?deriv",
    "not commercial": r"\bnc\b|non-?commercial|research|academic",
    "share alike": r"\bsa\b|share-?alike|\bgpl|\bodbl",
    "attribution": r"\bcc[\s-]*by\b|attribution|\bmit\b|\bbsd|\bapache",
}
_NO_CONDITIONS = r"\bcc-?0\b|public domain|\bfree\b|unlicen[cs]e|\bpddl"


def combined_licence(licences: Iterable[str]) -> str:
    """The most restrictive of the data's licences: the one whose conditions cover the others', or several.

    What says nothing, or nothing that is understood, may be anything: then it is unknown.

    >>> combined_licence(["CC BY 4.0", "CC BY-NC-SA 4.0", "free for use (Emo-DB)"])
    'CC BY-NC-SA 4.0'
    >>> combined_licence(["CC BY 4.0", ""])
    "unknown: as your data's"
    """
    asked = {name: _conditions(name) for name in sorted(set(licences))}
    understood = {name: conditions for name, conditions in asked.items() if conditions is not None}
    if len(understood) < len(asked) or not asked:
        strange = ", ".join(name for name in asked if name and name not in understood)
        return "unknown: as your data's" + (f" ({strange})" if strange else "")
    tightest = [name for name, mine in understood.items() if not any(mine < other for other in understood.values())]
    one_each = {understood[name]: name for name in reversed(tightest)}
    return " and ".join(sorted(one_each.values()))


def _conditions(licence: str) -> frozenset[str] | None:
    """None where the words say nothing that is understood."""
    found = frozenset(name for name, words in _CONDITIONS.items() if re.search(words, licence.lower()))
    return found if found or re.search(_NO_CONDITIONS, licence.lower()) else None
