"""Packed shards: whoever asks for a shard, or reads plain files, sees what the loose files showed."""

import datetime as dt
import threading
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from helpers.attempts import attempts
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts import lake as lakes
from data_contracts.lake import Lake
from data_contracts.schema import feature_sets
from features.dsp.gemaps import EGEMAPS_NAMES
from features.store import compaction, history, packs, shard_files
from features.store.compaction import compact

DAY = dt.date(2026, 11, 21)
NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
SETS = ("segments", "egemaps", "embeddings", "recordings")


class Killed(BaseException):
    """Nothing may catch it, as nothing catches a kill."""


def _write(lake: Lake, shard: str, n_rows: int = 3, *, tries: int = 1, configuration: str = "c", **more: Any) -> None:
    """A shard of one recording; `more` goes into its row of recordings."""
    random = np.random.default_rng(int(shard, 16))
    row = {"uri": shard, "etag": "e", "bytes": 1, "modified": NOON, "read_at": NOON, "tries": tries, "status": "ok"}
    keys = [pa.array([shard] * n_rows), pa.array([0] * n_rows, pa.int16()), pa.array(range(n_rows), pa.int32())]
    functionals = random.normal(size=(len(EGEMAPS_NAMES), n_rows)).astype(np.float32)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(random.normal(size=4 * n_rows).astype(np.float16)), 4)
    numbers = [pa.array(random.normal(size=n_rows)) for _ in range(2)]
    tables = {
        "recordings": pa.Table.from_pylist([row | more], schema=feature_sets.RECORDING_FEATURES),
        "segments": pa.table([*keys, *numbers, pa.array([0.0] * n_rows, pa.float32())], schema=feature_sets.SEGMENTS),
        "egemaps": pa.table([*keys, *functionals], schema=feature_sets.egemaps_schema(EGEMAPS_NAMES)),
        "embeddings": pa.table([*keys, vectors], schema=feature_sets.embeddings_schema(4)),
    }
    shard_files.write_shard(lake, tables, version="v1", date=DAY, shard=shard, configuration=configuration)


def _files(lake: Lake, feature_set: str = "recordings") -> list[str]:
    return lake.names(shard_files.folder(feature_set, "v1", DAY))


def _said(lake: Lake) -> dict[str, Any]:
    """Everything that the store says of the day."""
    ids = shard_files.shards(lake, "v1", DAY)
    return {
        "shards": ids,
        "done": [shard_files.is_done(lake, "v1", DAY, shard) for shard in ids],
        "dates": shard_files.dates(lake, "v1"),
        "recordings": history.recordings(lake, "v1", DAY).collect().to_dicts(),
        "attempts": attempts(lake, "v1", DAY),
        "members": sorted(history.shard_members(lake, "v1", DAY).rows()),
        "rows": {
            (name, shard): _exactly(shard_files.read(lake, name, "v1", DAY, shard)) for name in SETS for shard in ids
        },
    }


def _exactly(table: pa.Table) -> tuple[pa.Schema, dict[bytes, bytes], list[dict[str, Any]]]:
    return table.schema, table.schema.metadata, table.to_pylist()


def _plainly(lake: Lake, feature_set: str) -> tuple[list[tuple[Any, ...]], pl.DataFrame, int]:
    """What readers that know nothing of packs see: DuckDB's columns, Polars' rows, DuckDB's count."""
    files = lake.uri_of("features", feature_set, "version=*", "date=*", "*.parquet")
    duck = duckdb.sql(f"SELECT * FROM read_parquet('{files}', hive_partitioning = true)")
    columns = list(zip(duck.columns, map(str, duck.types), strict=True))
    frame = pl.scan_parquet(files, hive_partitioning=True).collect()
    order = [name for name in ("uri", "recording_id", "segment") if name in frame.columns]
    return columns, frame.sort(order), duck.count("*").fetchall()[0][0]


def test_nobody_sees_a_difference(lake):
    for place in range(5):
        _write(lake, f"0{place}", n_rows=place)  # one has no utterances at all
    before, plainly = _said(lake), {name: _plainly(lake, name) for name in SETS}
    tallies = compact(lake, "v1", DAY)
    assert {name: (tally.n_files, tally.n_files_after) for name, tally in tallies.items()} == dict.fromkeys(
        SETS, (5, 1)
    )
    assert all(name.startswith("pack-") for name in _files(lake))
    assert _said(lake) == before
    for name in SETS:
        columns, frame, n_rows = _plainly(lake, name)
        assert (columns, n_rows) == (plainly[name][0], plainly[name][2])
        assert frame.equals(plainly[name][1])


def test_packed_is_packed(lake):
    for shard in ("0a", "0b"):
        _write(lake, shard)
    compact(lake, "v1", DAY)
    files = _files(lake)
    tallies = compact(lake, "v1", DAY)
    assert _files(lake) == files
    assert all(tally.n_files == tally.n_files_after == 1 for tally in tallies.values())


def test_what_came_later_joins_the_pack(lake):
    for shard in ("0a", "0b"):
        _write(lake, shard)
    compact(lake, "v1", DAY)
    _write(lake, "0c")
    before = _said(lake)
    assert before["shards"] == ["0a", "0b", "0c"]
    compact(lake, "v1", DAY)
    (pack,) = _files(lake)
    assert sorted(packs.list_shards(lake, f"{shard_files.folder('recordings', 'v1', DAY)}/{pack}")) == [
        "0a",
        "0b",
        "0c",
    ]
    assert _said(lake) == before


def test_one_file_alone_stays(lake):
    _write(lake, "0a")
    compact(lake, "v1", DAY)
    assert _files(lake) == ["0a.parquet"]


def test_large_files_stay(lake):
    for shard in ("0a", "0b", "0c"):
        _write(lake, shard, n_rows=1 if shard == "0b" else 2_000)
    _write(lake, "0d", n_rows=1)
    compact(lake, "v1", DAY, target_bytes=100_000)
    kept = [name for name in _files(lake, "egemaps") if not packs.is_pack(name)]
    assert kept == ["0a.parquet", "0c.parquet"]


def test_packs_are_no_larger_than_asked(lake, monkeypatch):
    monkeypatch.setattr(compaction, "MAX_SHARDS", 3)
    for place in range(7):
        _write(lake, f"0{place}")
    before = _said(lake)
    compact(lake, "v1", DAY)
    assert len(_files(lake)) == 3, "two of three, and one that is alone"
    assert _said(lake) == before


def test_a_dry_run_tells_and_does_nothing(lake):
    for shard in ("0a", "0b", "0c"):
        _write(lake, shard)
    tallies = compact(lake, "v1", DAY, dry_run=True)
    assert {(tally.n_files, tally.n_files_after) for tally in tallies.values()} == {(3, 1)}
    assert _files(lake) == ["0a.parquet", "0b.parquet", "0c.parquet"]


def test_an_unfinished_shard_is_not_packed(lake):
    """Its run died before `recordings`; the run that does it again writes it loose, and it was to be seen twice."""
    for shard in ("0a", "0b", "0c"):
        _write(lake, shard)
    lake.remove(shard_files.path("recordings", "v1", DAY, "0b"))
    compact(lake, "v1", DAY)
    assert "0b.parquet" in _files(lake, "segments")
    assert shard_files.shards(lake, "v1", DAY) == ["0a", "0c"]


def test_other_configurations_lie_in_other_packs(lake):
    for place in range(5):
        _write(lake, f"0{place}", configuration="c" if place % 2 else "d")
    before = _said(lake)
    compact(lake, "v1", DAY)
    assert len(_files(lake)) == 2
    assert _said(lake) == before


def test_a_loose_file_wins_over_the_pack(lake):
    for shard in ("0a", "0b"):
        _write(lake, shard, reason="vanished", status="rejected")
    compact(lake, "v1", DAY)
    _write(lake, "0a", n_rows=1, read_at=NOON + dt.timedelta(hours=1))
    for _ in range(2):
        assert shard_files.read(lake, "segments", "v1", DAY, "0a").num_rows == 1
        assert shard_files.rows(lake, "v1", DAY).sort("uri")["status"].to_list() == ["ok", "rejected"]
        assert attempts(lake, "v1", DAY)["0a", "e"].is_read
        compact(lake, "v1", DAY)
        (pack,) = _files(lake)
        assert packs.is_pack(pack)
    assert _plainly(lake, "segments")[2] == 1 + 3


def test_what_is_written_again_is_taken_out_of_the_pack(lake):
    """Plain readers know no pack: they would see the shard twice until it is packed again."""
    for shard in ("0a", "0b", "0c"):
        _write(lake, shard)
    compact(lake, "v1", DAY)
    _write(lake, "0b", n_rows=1)
    before = _said(lake)
    for name in SETS:
        packs.unpack(lake, shard_files.folder(name, "v1", DAY), "0b")
    assert _files(lake) == ["0a.parquet", "0b.parquet", "0c.parquet"]
    assert _said(lake) == before
    assert _plainly(lake, "segments")[2] == 3 + 1 + 3


def test_a_shard_written_while_it_is_packed_stays(lake, monkeypatch):
    for shard in ("0a", "0b"):
        _write(lake, shard)
    write = Lake.write

    def overtaken(self, path, data):
        write(self, path, data)
        if "egemaps" in path and "pack-" in path:
            monkeypatch.setattr(Lake, "write", write)
            _write(lake, "0a", n_rows=7)

    monkeypatch.setattr(Lake, "write", overtaken)
    compact(lake, "v1", DAY)
    assert shard_files.read(lake, "egemaps", "v1", DAY, "0a").num_rows == 7
    compact(lake, "v1", DAY)
    assert shard_files.read(lake, "egemaps", "v1", DAY, "0a").num_rows == 7
    assert [len(_files(lake, name)) for name in SETS] == [1, 1, 1, 1]
    assert _plainly(lake, "egemaps")[2] == 7 + 3


@pytest.mark.parametrize("method", ["write", "remove"])
@pytest.mark.parametrize("after", range(8))
def test_dead_at_any_step_and_run_again(lake, monkeypatch, method, after):
    """At every write and every removal: nothing is lost or doubled for us, and the next time finishes it."""
    for shard in ("0a", "0b"):
        _write(lake, shard)
    compact(lake, "v1", DAY)
    _write(lake, "0a", n_rows=2)  # wins over the pack's
    _write(lake, "0c")
    before, real, calls = _said(lake), getattr(Lake, method), []

    def die(self, *arguments):
        calls.append(arguments)
        if len(calls) > after:
            raise Killed
        real(self, *arguments)

    with monkeypatch.context() as death:
        death.setattr(Lake, method, die)
        try:
            compact(lake, "v1", DAY)
        except Killed:
            assert _said(lake) == before
    assert len(calls) > min(after, 3), "it does something"
    compact(lake, "v1", DAY)
    assert _said(lake) == before
    assert [len(_files(lake, name)) for name in SETS] == [1, 1, 1, 1]
    assert _plainly(lake, "segments")[2] == 2 + 3 + 3


def test_readers_meanwhile_see_one_day_only(lake):
    """Loose files that were listed vanish into a pack, packs are taken apart: readers look again."""
    for place in range(6):
        _write(lake, f"0{place}")
    before, over, wrong = _said(lake), threading.Event(), []

    def watch() -> None:
        while not over.is_set():
            try:
                if _said(lake) != before:
                    wrong.append("another day")
            except Exception as error:  # noqa: BLE001 - it is told below
                wrong.append(error)

    reader = threading.Thread(target=watch)
    reader.start()
    try:
        for _ in range(6):
            compact(lake, "v1", DAY)
            for name in reversed(SETS):
                packs.unpack(lake, shard_files.folder(name, "v1", DAY), "00")
    finally:
        over.set()
        reader.join()
    assert not wrong
    assert _said(lake) == before


@settings(max_examples=25)
@given(
    st.lists(
        st.one_of(st.tuples(st.just("write"), st.integers(0, 4), st.integers(0, 3)), st.tuples(st.just("compact"))),
        max_size=12,
    )
)
def test_in_any_order_the_store_holds_what_was_written_last(tmp_path_factory, steps):
    lake = lakes.open(str(tmp_path_factory.mktemp("lake")))
    expected: dict[str, int] = {}
    for what, *how in steps:
        if what == "write":
            shard, n_rows = f"0{how[0]}", how[1]
            _write(lake, shard, n_rows)
            expected[shard] = n_rows
        else:
            compact(lake, "v1", DAY)
        held = {shard: shard_files.read(lake, "segments", "v1", DAY, shard).num_rows for shard in expected}
        assert held == expected
        assert shard_files.shards(lake, "v1", DAY) == sorted(expected)
        assert shard_files.rows(lake, "v1", DAY).height == len(expected)


def test_a_set_that_is_not_there(lake):
    for shard in ("0a", "0b"):
        _write(lake, shard)
    compact(lake, "v1", DAY)
    for name, shard in (("logmel", "0a"), ("segments", "0f")):
        with pytest.raises(FileNotFoundError):
            shard_files.read(lake, name, "v1", DAY, shard)


def test_columns_by_name(lake):
    for shard in ("0a", "0b"):
        _write(lake, shard)
    wanted = ["segment", "recording_id"]
    before = shard_files.read(lake, "segments", "v1", DAY, "0a", wanted)
    compact(lake, "v1", DAY)
    assert shard_files.read(lake, "segments", "v1", DAY, "0a", wanted).equals(before)


def test_on_s3(s3):
    lake = lakes.open(f"s3://{s3}/lake")
    for place in range(3):
        _write(lake, f"0{place}")
    before = _said(lake)
    compact(lake, "v1", DAY)
    assert [packs.is_pack(name) for name in _files(lake)] == [True]
    assert _said(lake) == before
    _write(lake, "01", n_rows=1)
    for name in SETS:
        packs.unpack(lake, shard_files.folder(name, "v1", DAY), "01")
    assert _files(lake) == ["00.parquet", "01.parquet", "02.parquet"]
    assert shard_files.read(lake, "segments", "v1", DAY, "01").num_rows == 1
