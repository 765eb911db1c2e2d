"""Choice of cases: all with `HYPOTHESIS_PROFILE=explore`, those that differ most in `make test`, within CI's time."""

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "undertone")
EXPLORES = PROFILE == "explore"
only_exploring = pytest.mark.skipif(not EXPLORES, reason="HYPOTHESIS_PROFILE=explore adds it, for its time")


def unless_exploring(chosen: Sequence[T], everything: Sequence[T]) -> list[T]:
    """Parameters of a test whose cases take seconds each."""
    return list(everything if EXPLORES else chosen)
