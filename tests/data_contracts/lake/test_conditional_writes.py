"""Detection of stores without conditional writes, which leaves no files behind."""

import pytest
from helpers.faulty_s3 import Fault

from data_contracts import lake as lakes
from data_contracts.errors import LakeError
from data_contracts.lake import conditional_writes
from data_contracts.lake.conditional_writes import find_broken_condition, require_conditional_writes


@pytest.fixture
def lake(s3, faulty, monkeypatch):
    monkeypatch.setattr(conditional_writes, "_checked", set())
    return lakes.open(f"s3://{s3}/lake")


def test_a_conforming_store_is_tested_once_and_left_unchanged(lake, faulty):
    require_conditional_writes(lake)
    assert lake.names("staging") == []
    asked = faulty.n_requests
    require_conditional_writes(lake)
    assert faulty.n_requests == asked


def test_a_store_that_ignores_conditions_is_refused(lake, faulty, s3):
    """npm's s3rver: 570 rows were acknowledged, and 480 were there."""
    faulty.do(Fault("ignore_conditions", on="PUT"))
    for _ in range(2):
        with pytest.raises(LakeError, match=rf"(?s)expected .*If-None-Match.*found one that ignores.*s3://{s3}/lake"):
            require_conditional_writes(lake)
    assert lake.names("staging") == []


def test_a_store_that_checks_and_then_writes_is_refused(lake, faulty):
    """Swift's s3api: one after the other all is right, and of 600 rows 550 were there."""
    faulty.do(Fault("loose_conditions", on="PUT", seconds=0.005))
    assert lake.create("a", b"1")
    assert not lake.create("a", b"2")
    with pytest.raises(
        LakeError, match=r"looks first and writes then \(\d of 8 created the same file\).*another store"
    ):
        require_conditional_writes(lake)


def test_a_transient_error_is_not_a_violation(lake, faulty):
    faulty.do(Fault("any", share=0.2, kinds=("slow_down", "internal_error", "reset", "reset_after", "truncate")))
    assert find_broken_condition(lake) is None
    assert {"slow_down", "reset_after"} <= {done for _, done in faulty.log}


def test_a_folder_is_not_tested(tmp_path):
    require_conditional_writes(lakes.open(str(tmp_path / "lake")))
    assert not (tmp_path / "lake").exists()
