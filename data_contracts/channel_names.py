"""Names of a recording's channels, parsed from a manifest or a setting."""

import json
from typing import Any


def channel_names(value: Any) -> tuple[str, ...]:
    """Parse names by channel from a list or comma-separated words; an empty name is a channel without one.

    Raises ValueError for anything else.

    >>> channel_names("agent, customer"), channel_names('["agent", "customer"]'), channel_names(["", "customer"])
    (('agent', 'customer'), ('agent', 'customer'), ('', 'customer'))
    """
    names = value
    if isinstance(value, str):
        try:
            names = json.loads(value) if value.lstrip().startswith("[") else value.split(",")
        except json.JSONDecodeError:
            names = None
    if not isinstance(names, list | tuple) or not all(name is None or isinstance(name, str) for name in names):
        raise ValueError(f"expected names such as 'agent,customer', or a list of them; found {value!r}")
    stripped = tuple((name or "").strip() for name in names)
    return stripped if any(stripped) else ()
