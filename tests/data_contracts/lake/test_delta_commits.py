"""Delta commits whose answer is lost: deltalake's behaviour is held, so that a change of it is noticed.

Whoever publishes holds the lock, and asks the history after any error; what follows says why.
"""

import polars as pl
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from helpers.faulty_s3 import Fault

from data_contracts import lake as lakes
from data_contracts.errors import TransientError
from data_contracts.object_store.error_translation import translate_errors
from data_contracts.object_store.retry import RetryPolicy

LOST = {  # and what is said of a commit that was done
    "truncate": CommitFailedError,  # asked again unseen, and its own commit is taken for another's
    "reset_after": TransientError,
}
STAMP = CommitProperties(custom_metadata={"id": "x"}, max_commit_retries=100)
ROWS = pa.table({"k": [2, 3], "v": ["B", "c"]})


@pytest.fixture
def lake(s3, faulty):
    made = lakes.open(f"s3://{s3}/lake", RetryPolicy(total_s=20.0, timeout_s=5.0))
    write_deltalake(made.uri_of("t"), pa.table({"k": [1, 2], "v": ["a", "b"]}), storage_options=made.storage_options)
    return made


def _table(lake, name="t"):
    return DeltaTable(lake.uri_of(name), storage_options=lake.storage_options)


def _rows(lake, name="t"):
    return sorted(_table(lake, name).to_pyarrow_table(columns=["k", "v"]).to_pydict()["k"])


def _merge(lake):
    merger = _table(lake).merge(ROWS, "t.k = s.k", source_alias="s", target_alias="t", commit_properties=STAMP)
    merger.when_matched_update_all().when_not_matched_insert_all().execute()


def _replace(lake):
    options = {"storage_options": lake.storage_options, "commit_properties": STAMP}
    write_deltalake(_table(lake), ROWS, mode="overwrite", predicate="k IN (2, 3)", **options)


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("publish", [_merge, _replace])
def test_a_merge_that_was_done_says_that_it_failed_and_stands_once_in_the_history(lake, faulty, kind, publish):
    faulty.do(Fault(kind, on="PUT .*_delta_log", times=1))
    with pytest.raises(LOST[kind]), translate_errors("publishing t"):
        publish(lake)
    assert _rows(lake) == [1, 2, 3]
    assert [commit.get("id") for commit in _table(lake).history()] == ["x", None]


@pytest.mark.parametrize(("name", "mode", "keys"), [("t", "append", [1, 2, 2, 3]), ("new", "error", [2, 3])])
def test_an_append_and_a_creation_are_committed_twice_and_their_rows_are_there_once(lake, faulty, name, mode, keys):
    """Nothing was read before them: deltalake sees no conflict with its own commit, and adds the same file again.

    Harmless while nobody else writes in between: had another merge rewritten the file, its rows would come back.
    """
    faulty.do(Fault("truncate", on="PUT .*_delta_log", times=1))
    options = {"storage_options": lake.storage_options, "commit_properties": STAMP}
    write_deltalake(lake.uri_of(name), ROWS, mode=mode, **options)
    assert _rows(lake, name) == keys
    assert (
        pl.scan_delta(_table(lake, name), storage_options=lake.polars_options).collect()["k"].sort().to_list() == keys
    )
    assert [commit.get("id") for commit in _table(lake, name).history()][:2] == ["x", "x"]


@pytest.mark.parametrize("kind", LOST)
def test_a_table_created_empty_and_merged_into_is_right(lake, faulty, kind):
    faulty.do(Fault(kind, on="PUT .*_delta_log", times=1))
    uri, options = lake.uri_of("new"), lake.storage_options
    lake.retry_policy.call(
        "creating new", lambda: DeltaTable.create(uri, ROWS.schema, mode="ignore", storage_options=options)
    )
    assert _rows(lake, "new") == []
