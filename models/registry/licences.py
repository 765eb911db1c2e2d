"""Licence of weights that were trained on data under several licences."""

import re
from collections.abc import Iterable

from models.data.licences import conditions


def combined_licence(licences: Iterable[str]) -> str:
    """Return the most restrictive of the data's licences: the one whose conditions cover the others', or several.

    Licences with the same conditions, such as those that ask for a notice, are all named.

    With a licence that is missing or not understood, the result is unknown.

    >>> combined_licence(["CC BY 4.0", "CC BY-NC-SA 4.0", "free for use (Emo-DB)"])
    'CC BY-NC-SA 4.0'
    >>> combined_licence(["CC BY 4.0", "Apache-2.0"])
    'Apache-2.0 and CC BY 4.0'
    >>> combined_licence(["CC BY 4.0", ""])
    "unknown: as your data's"
    """
    conditions_of = {name: conditions(name) for name in sorted(set(licences))}
    understood = {name: found for name, found in conditions_of.items() if found is not None}
    if len(understood) < len(conditions_of) or not conditions_of:
        strange = ", ".join(name for name in conditions_of if name and name not in understood)
        return "unknown: as your data's" + (f" ({strange})" if strange else "")
    tightest = [name for name, mine in understood.items() if not any(mine < other for other in understood.values())]
    one_each = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(tightest)}
    return " and ".join(sorted(one_each.values()))


def is_non_commercial(licence: str) -> bool:
    """Return whether a licence, or one of several, allows no commercial use.

    >>> [is_non_commercial(name) for name in ("CC BY-NC-SA 4.0", "CC BY 4.0 and CC BY-NC 4.0", "Apache-2.0")]
    [True, True, False]
    """
    return "not commercial" in (conditions(licence) or ())
