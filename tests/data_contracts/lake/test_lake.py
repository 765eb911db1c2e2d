"""The lake: whole files or none, one creator, the same over a folder and over S3."""

import datetime as dt
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from helpers.faulty_s3 import TRANSIENT, Fault
from helpers.lakes import make_lake

from data_contracts import lake as lakes
from data_contracts.errors import CredentialsError, TransientError, UsageError
from data_contracts.lake import Lake
from data_contracts.object_store.error_translation import translate_errors
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.schema.feature_sets import SEGMENTS
from data_contracts.schema.tables import TABLE_KEYS

ROWS = pa.table({"n": [1, 2, 3]})


@pytest.fixture
def lake(lake_anywhere: Lake) -> Lake:
    return lake_anywhere


def test_written_files_are_read_listed_and_removed(lake):
    assert lake.names("some") == []
    assert not lake.exists("some")
    lake.write("some/b.bin", b"b")
    lake.write("some/a.bin", b"a")
    lake.write("some/deeper/c.bin", b"c")
    assert lake.names("some") == ["a.bin", "b.bin", "deeper"]
    assert lake.exists("some/a.bin")
    assert lake.read("some/a.bin") == b"a"
    lake.write("some/a.bin", b"another")
    assert lake.read("some/a.bin") == b"another"
    lake.remove("some")
    assert lake.names("some") == []
    lake.remove("some")  # which is not there any more


def test_a_missing_file_is_a_file_not_found_error(lake):
    with pytest.raises(FileNotFoundError):
        lake.read("nothing")
    with pytest.raises(FileNotFoundError):
        lake.read_parquet("nothing.parquet")


def test_json_and_parquet_come_back(lake):
    lake.write_json("a.json", {"day": dt.date(2026, 11, 21), "n": 1})
    assert lake.read_json("a.json") == {"day": "2026-11-21", "n": 1}
    lake.write_parquet("date=2026-11-21/a.parquet", ROWS, {"undertone.configuration": "x"})
    table = lake.read_parquet("date=2026-11-21/a.parquet")
    assert table.to_pydict() == ROWS.to_pydict()  # no column from the folder's name
    assert table.schema.metadata == {b"undertone.schema_version": b"1", b"undertone.configuration": b"x"}
    assert lake.read_parquet("date=2026-11-21/a.parquet", ["n"]).column_names == ["n"]


def test_files_are_read_with_their_paths(lake):
    lake.write_parquet("x/date=2026-11-21/a.parquet", ROWS)
    lake.write_parquet("x/date=2026-11-21/b.parquet", ROWS)
    found = lake.read_files(["x/date=2026-11-21/a.parquet", "x/date=2026-11-21/b.parquet"])
    assert found.columns == ["n", "path"]
    assert found["path"].to_list() == [f"x/date=2026-11-21/{name}.parquet" for name in "aaabbb"]


@pytest.mark.parametrize("read", ["read_files", "read_parquet"])
def test_a_file_is_read_in_one_piece(tmp_path, read):
    """A nightly and a backfill wrote the same shard, of different read_at, while one of them read it: the footer was of
    the one file and the pages of the other ("the page header reported the wrong page size")."""
    lake = make_lake(tmp_path)
    contents = [pa.table({"n": list(range(n)), "text": [str(n)] * n}) for n in (10, 20_000)]
    lake.write_parquet("a.parquet", contents[0])
    done = threading.Event()

    def write() -> None:
        for turn in range(150):
            lake.write_parquet("a.parquet", contents[turn % 2])
        done.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not done.is_set():
            found = lake.read_parquet("a.parquet") if read == "read_parquet" else lake.read_files(["a.parquet"])
            assert len(found) in {10, 20_000}
            assert set(found["text"].unique().to_pylist() if read == "read_parquet" else found["text"]) <= {
                str(len(found))
            }
        writing.result()


def test_a_lake_travels_to_a_worker(lake):
    lake.write("a", b"1")
    again = pickle.loads(pickle.dumps(lake))
    assert (again.uri, again.is_local, again.read("a")) == (lake.uri, lake.is_local, b"1")


def test_only_the_first_creates(lake):
    assert lake.create("locks/publish", b"first")
    assert not lake.create("locks/publish", b"second")
    assert lake.read("locks/publish") == b"first"
    lake.remove("locks")
    assert lake.create("locks/publish", b"third")


def test_of_concurrent_creators_one_succeeds(lake):
    """A local lake once asked whether the file was there and then wrote it: two runs could hold the lock."""
    n = 8
    for turn in range(5):
        start = threading.Barrier(n)

        def attempt(who: int, turn: int = turn, start: threading.Barrier = start) -> bool:
            start.wait()
            return lake.create(f"locks/{turn}", f"run {who}".encode())

        with ThreadPoolExecutor(n) as pool:
            won = list(pool.map(attempt, range(n)))
        assert sum(won) == 1
        assert lake.read(f"locks/{turn}") == f"run {won.index(True)}".encode()


def test_a_reader_never_sees_a_draft(tmp_path):
    lake = make_lake(tmp_path)
    contents = [bytes([i]) * 300_000 for i in range(2)]
    lake.write("a/file", contents[0])
    done = threading.Event()

    def write() -> None:
        for turn in range(100):
            lake.write("a/file", contents[turn % 2])
        done.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not done.is_set():
            assert lake.read("a/file") in contents
            assert lake.names("a") == ["file"]
        writing.result()
    assert [path.name for path in (tmp_path / "lake" / "a").iterdir()] == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path):
    lake = make_lake(tmp_path)
    lake.write("a/file", b"old")
    with pytest.raises(TypeError):
        lake.write("a/file", "text is not bytes")  # type: ignore[arg-type]
    assert lake.read("a/file") == b"old"
    assert [path.name for path in (tmp_path / "lake" / "a").iterdir()] == ["file"]


def test_a_table_is_empty_before_it_is_published_and_scanned_after(lake):
    schema = pa.schema([pa.field("uri", pa.string(), nullable=False)])
    assert lake.delta("recordings") is None
    assert lake.frame("recordings", schema).collect().schema == {"uri": pl.String}
    with pytest.raises(UsageError, match="nothing published yet; run `undertone backfill`"):
        lake.scan("recordings")
    write_deltalake(
        lake.uri_of("analytics", "recordings"), pa.table({"uri": ["a"]}), storage_options=lake.storage_options
    )
    delta = lake.delta("recordings")
    assert delta is not None
    assert delta.version() == 0
    for frame in (lake.frame("recordings", schema), lake.scan("recordings")):
        assert frame.collect().to_dicts() == [{"uri": "a"}]


def test_a_feature_set_is_scanned_with_its_hive_columns(lake):
    """Before the first extraction it once ended in Polars' own error."""
    with pytest.raises(UsageError, match="holds nothing yet"):
        lake.scan("segments")
    lake.write_parquet("features/segments/version=abc/date=2026-11-21/0f.parquet", SEGMENTS.empty_table())
    assert {"recording_id", "version", "date"} <= set(lake.scan("segments").collect_schema())


@pytest.mark.parametrize("name", ["utterance", "", "../secrets", "functionals"])
def test_an_unknown_name_is_answered_with_the_known_ones(lake, name):
    with pytest.raises(UsageError) as caught:
        lake.scan(name)
    for known in (*TABLE_KEYS, "segments", "egemaps", "embeddings", "logmel", "lld", repr(name)):
        assert known in str(caught.value)
    assert str(caught.value).count("recordings") == 1


def test_a_server_that_does_not_answer_is_transient(s3, monkeypatch):
    """botocore's connection errors are no OSErrors: they once passed as they were, and were never tried again."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    lake = lakes.open(f"s3://{s3}/lake", RetryPolicy(total_s=0.5))
    with pytest.raises(TransientError, match=rf"reading s3://{s3}/lake/a: .*http://127.0.0.1:9.* in vain: run again"):
        lake.read("a")


@pytest.fixture
def faulty_lake(s3, faulty):
    """A lake behind a store that misbehaves; nobody waits long for it."""
    return lakes.open(f"s3://{s3}/lake", RetryPolicy(total_s=20.0, timeout_s=0.5))


@pytest.mark.parametrize("kind", TRANSIENT)
def test_every_operation_outlives_a_fault(faulty_lake, faulty, kind):
    """The first request of each operation fails; reset, four times: more often than it is tried again at once."""
    table, data = faulty_lake.uri_of("analytics", "runs"), b"12"
    write_deltalake(table, pa.table({"run_id": ["a"]}), storage_options=faulty_lake.storage_options)

    def broken(operation, *, on: str = ""):
        faulty.do(Fault(kind, on=on, times=4 if kind == "reset" else 1))
        return operation()

    broken(lambda: faulty_lake.write("a/b", data))
    assert broken(lambda: faulty_lake.read("a/b")) == data
    assert broken(lambda: faulty_lake.exists("a/b"))
    assert not broken(lambda: faulty_lake.exists("a/c"))
    assert broken(lambda: faulty_lake.names("a")) == ["b"]
    assert broken(lambda: faulty_lake.create("a/d", data))
    assert not broken(lambda: faulty_lake.create("a/d", b"others"))
    assert broken(lambda: faulty_lake.delta("runs").version()) == 0
    assert broken(lambda: faulty_lake.delta("runs").version(), on="GET .*json") == 0
    assert broken(lambda: faulty_lake.scan("runs").collect().height, on="GET .*parquet") == 1
    broken(lambda: faulty_lake.remove("a"))
    faulty.do()
    assert faulty_lake.names("a") == []
    assert {done for _, done in faulty.log} == {kind, "pass"}


@pytest.mark.parametrize("kind", ["reset_after", "truncate"])
def test_a_creation_with_a_lost_answer_is_acknowledged(faulty_lake, faulty, kind):
    """The second try found what the first had written, and a run waited for a lock that it held itself."""
    faulty.do(Fault(kind, on="PUT", times=1))
    assert faulty_lake.create("lock", b"mine")
    faulty.do(Fault(kind, on="PUT", times=1))
    assert not faulty_lake.create("lock", b"another's")
    assert faulty_lake.read("lock") == b"mine"


def test_an_empty_file_never_counts_as_created_here(lake):
    assert [lake.create("marks/done", b"") for _ in range(2)] == [True, False]


def test_expired_credentials_are_named(faulty_lake, faulty):
    faulty_lake.write("a", b"1")
    write_deltalake(faulty_lake.uri_of("analytics/runs"), ROWS, storage_options=faulty_lake.storage_options)
    frame = faulty_lake.scan("runs")
    faulty.do(Fault("expired"))
    says = "ExpiredToken.*expected credentials that the store takes; renew them .* and run again"
    operations = {
        "read": lambda: faulty_lake.read("a"),
        "exists": lambda: faulty_lake.exists("a"),  # asks by HEAD, whose answer has no reason in it
        "write": lambda: faulty_lake.write("a", b"2"),
        "names": lambda: faulty_lake.names(""),
        "create": lambda: faulty_lake.create("b", b"2"),
        "delta": lambda: faulty_lake.delta("runs"),
    }
    for operation in operations.values():
        before = faulty.n_requests
        with pytest.raises(CredentialsError, match=f"(?s){says}"):
            operation()
        assert faulty.n_requests - before <= 2, "asking again does not help"
    with pytest.raises(CredentialsError, match="ExpiredToken"), translate_errors("reading runs"):
        frame.collect()


def test_a_missing_bucket_is_not_an_empty_one(s3):
    lake = lakes.open(f"s3://{s3}-not/lake")
    with pytest.raises(FileNotFoundError):
        lake.write("a", b"1")
