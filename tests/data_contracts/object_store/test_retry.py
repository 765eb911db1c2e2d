"""Retries with growing pauses, for a limited time."""

import pytest

from data_contracts.errors import LakeError, TransientError, UsageError
from data_contracts.object_store import retry as module
from data_contracts.object_store.retry import RetryPolicy


@pytest.fixture
def pauses(monkeypatch):
    """Time stands still but for the pauses, which are only written down."""
    slept = []
    monkeypatch.setattr(module.time, "monotonic", lambda: sum(slept))
    monkeypatch.setattr(module.time, "sleep", slept.append)
    return slept


def test_an_outage_of_half_a_minute_is_waited_for(pauses):
    def act() -> str:
        if sum(pauses) < 30.0:
            raise ConnectionResetError("reset")
        return "well"

    assert RetryPolicy().call("reading a", act) == "well"
    assert sum(pauses) < 40.0


def test_an_endless_outage_is_given_up(pauses):
    def act() -> None:
        raise TimeoutError("slow")

    with pytest.raises(TransientError, match="reading a: slow; asked again for 120 s in vain: run again when"):
        RetryPolicy().call("reading a", act)
    assert sum(pauses) == pytest.approx(120.0)
    assert max(pauses) <= 8.0
    assert pauses[0] < pauses[2] < pauses[4], "they grow"
    assert len({round(pause, 6) for pause in pauses[6:-1]}) == len(pauses[6:-1]), "and no two callers keep step"


def test_a_permanent_error_is_not_retried(pauses):
    for error, ours in ((FileNotFoundError("a"), FileNotFoundError), (PermissionError("a"), LakeError)):
        tries = []

        def act(error=error, tries=tries) -> None:
            tries.append(1)
            raise error

        with pytest.raises(ours):
            RetryPolicy().call("reading a", act)
        assert len(tries) == 1
    assert not pauses


def test_zero_seconds_are_one_try(pauses):
    assert list(RetryPolicy(total_s=0.0).attempts()) == [1]
    with pytest.raises(UsageError, match="expected a patience of 0 s or more"):
        RetryPolicy(total_s=-1.0)
