"""Packed shards: readers of shards and of plain files see the same rows as before packing."""

import datetime as dt
import threading

import pytest
from helpers.attempts import attempts
from helpers.packed_store import DAY, NOON, SETS, contents, files_of, read_plainly, write_shard
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts import lake as lakes
from data_contracts.errors import DamagedFile
from data_contracts.lake import Lake
from features.store import compaction, packs, shard_files
from features.store.compaction import compact


class Killed(BaseException):
    """Nothing may catch it, as nothing catches a kill."""


def test_readers_see_no_difference_after_packing(lake):
    for place in range(5):
        write_shard(lake, f"0{place}", n_rows=place)  # one has no utterances at all
    before, plainly = contents(lake), {name: read_plainly(lake, name) for name in SETS}
    tallies = compact(lake, "v1", DAY)
    assert {name: (tally.n_files, tally.n_files_after) for name, tally in tallies.items()} == dict.fromkeys(
        SETS, (5, 1)
    )
    assert all(name.startswith("pack-") for name in files_of(lake))
    assert contents(lake) == before
    for name in SETS:
        columns, frame, n_rows = read_plainly(lake, name)
        assert (columns, n_rows) == (plainly[name][0], plainly[name][2])
        assert frame.equals(plainly[name][1])


def test_packing_twice_changes_nothing(lake):
    for shard in ("0a", "0b"):
        write_shard(lake, shard)
    compact(lake, "v1", DAY)
    files = files_of(lake)
    tallies = compact(lake, "v1", DAY)
    assert files_of(lake) == files
    assert all(tally.n_files == tally.n_files_after == 1 for tally in tallies.values())


def test_later_shards_join_the_pack(lake):
    for shard in ("0a", "0b"):
        write_shard(lake, shard)
    compact(lake, "v1", DAY)
    write_shard(lake, "0c")
    before = contents(lake)
    assert before["shards"] == ["0a", "0b", "0c"]
    compact(lake, "v1", DAY)
    (pack,) = files_of(lake)
    assert sorted(packs.list_shards(lake, f"{shard_files.folder('recordings', 'v1', DAY)}/{pack}")) == [
        "0a",
        "0b",
        "0c",
    ]
    assert contents(lake) == before


def test_one_file_alone_stays(lake):
    write_shard(lake, "0a")
    compact(lake, "v1", DAY)
    assert files_of(lake) == ["0a.parquet"]


def test_large_files_stay(lake):
    for shard in ("0a", "0b", "0c"):
        write_shard(lake, shard, n_rows=1 if shard == "0b" else 2_000)
    write_shard(lake, "0d", n_rows=1)
    compact(lake, "v1", DAY, target_bytes=100_000)
    kept = [name for name in files_of(lake, "egemaps") if not packs.is_pack(name)]
    assert kept == ["0a.parquet", "0c.parquet"]


def test_packs_are_no_larger_than_asked(lake, monkeypatch):
    monkeypatch.setattr(compaction, "MAX_SHARDS", 3)
    for place in range(7):
        write_shard(lake, f"0{place}")
    before = contents(lake)
    compact(lake, "v1", DAY)
    assert len(files_of(lake)) == 3, "two of three, and one that is alone"
    assert contents(lake) == before


def test_a_dry_run_reports_and_changes_nothing(lake):
    for shard in ("0a", "0b", "0c"):
        write_shard(lake, shard)
    tallies = compact(lake, "v1", DAY, dry_run=True)
    assert {(tally.n_files, tally.n_files_after) for tally in tallies.values()} == {(3, 1)}
    assert files_of(lake) == ["0a.parquet", "0b.parquet", "0c.parquet"]


def test_an_unfinished_shard_is_not_packed(lake):
    """Its run died before `recordings`; the run that does it again writes it loose, and it was to be seen twice."""
    for shard in ("0a", "0b", "0c"):
        write_shard(lake, shard)
    lake.remove(shard_files.path("recordings", "v1", DAY, "0b"))
    compact(lake, "v1", DAY)
    assert "0b.parquet" in files_of(lake, "segments")
    assert shard_files.shards(lake, "v1", DAY) == ["0a", "0c"]


def test_other_configurations_lie_in_other_packs(lake):
    for place in range(5):
        write_shard(lake, f"0{place}", configuration="c" if place % 2 else "d")
    before = contents(lake)
    compact(lake, "v1", DAY)
    assert len(files_of(lake)) == 2
    assert contents(lake) == before


def test_a_loose_file_wins_over_the_pack(lake):
    for shard in ("0a", "0b"):
        write_shard(lake, shard, reason="vanished", status="rejected")
    compact(lake, "v1", DAY)
    write_shard(lake, "0a", n_rows=1, read_at=NOON + dt.timedelta(hours=1))
    for _ in range(2):
        assert shard_files.read(lake, "segments", "v1", DAY, "0a").num_rows == 1
        assert shard_files.rows(lake, "v1", DAY).sort("uri")["status"].to_list() == ["ok", "rejected"]
        assert attempts(lake, "v1", DAY)["0a", "e"].is_read
        compact(lake, "v1", DAY)
        (pack,) = files_of(lake)
        assert packs.is_pack(pack)
    assert read_plainly(lake, "segments")[2] == 1 + 3


def test_a_rewritten_shard_is_taken_out_of_its_pack(lake):
    """Plain readers know no pack: they would see the shard twice until it is packed again."""
    for shard in ("0a", "0b", "0c"):
        write_shard(lake, shard)
    compact(lake, "v1", DAY)
    write_shard(lake, "0b", n_rows=1)
    before = contents(lake)
    for name in SETS:
        packs.unpack(lake, shard_files.folder(name, "v1", DAY), "0b")
    assert files_of(lake) == ["0a.parquet", "0b.parquet", "0c.parquet"]
    assert contents(lake) == before
    assert read_plainly(lake, "segments")[2] == 3 + 1 + 3


def test_a_shard_written_while_it_is_packed_stays(lake, monkeypatch):
    for shard in ("0a", "0b"):
        write_shard(lake, shard)
    write = Lake.write

    def overtaken(self, path, data):
        write(self, path, data)
        if "egemaps" in path and "pack-" in path:
            monkeypatch.setattr(Lake, "write", write)
            write_shard(lake, "0a", n_rows=7)

    monkeypatch.setattr(Lake, "write", overtaken)
    compact(lake, "v1", DAY)
    assert shard_files.read(lake, "egemaps", "v1", DAY, "0a").num_rows == 7
    compact(lake, "v1", DAY)
    assert shard_files.read(lake, "egemaps", "v1", DAY, "0a").num_rows == 7
    assert [len(files_of(lake, name)) for name in SETS] == [1, 1, 1, 1]
    assert read_plainly(lake, "egemaps")[2] == 7 + 3


@pytest.mark.parametrize("method", ["write", "remove"])
@pytest.mark.parametrize("after", range(8))
def test_a_crash_at_any_step_is_mended_by_the_next_run(lake, monkeypatch, method, after):
    """At every write and every removal: nothing is lost or doubled for us, and the next time finishes it."""
    for shard in ("0a", "0b"):
        write_shard(lake, shard)
    compact(lake, "v1", DAY)
    write_shard(lake, "0a", n_rows=2)  # wins over the pack's
    write_shard(lake, "0c")
    before, real, calls = contents(lake), getattr(Lake, method), []

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
            assert contents(lake) == before
    assert len(calls) > min(after, 3), "it does something"
    compact(lake, "v1", DAY)
    assert contents(lake) == before
    assert [len(files_of(lake, name)) for name in SETS] == [1, 1, 1, 1]
    assert read_plainly(lake, "segments")[2] == 2 + 3 + 3


def test_readers_meanwhile_see_one_day_only(lake):
    """Loose files that were listed vanish into a pack, packs are taken apart: readers look again."""
    for place in range(6):
        write_shard(lake, f"0{place}")
    before, over, wrong = contents(lake), threading.Event(), []

    def watch() -> None:
        while not over.is_set():
            try:
                if contents(lake) != before:
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
    assert contents(lake) == before


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
            write_shard(lake, shard, n_rows)
            expected[shard] = n_rows
        else:
            compact(lake, "v1", DAY)
        held = {shard: shard_files.read(lake, "segments", "v1", DAY, shard).num_rows for shard in expected}
        assert held == expected
        assert shard_files.shards(lake, "v1", DAY) == sorted(expected)
        assert shard_files.rows(lake, "v1", DAY).height == len(expected)


def test_a_missing_feature_set(lake):
    for shard in ("0a", "0b"):
        write_shard(lake, shard)
    compact(lake, "v1", DAY)
    for name, shard in (("logmel", "0a"), ("segments", "0f")):
        with pytest.raises(DamagedFile, match=f"the {name} of shard {shard}"):
            shard_files.read(lake, name, "v1", DAY, shard)


def test_columns_by_name(lake):
    for shard in ("0a", "0b"):
        write_shard(lake, shard)
    wanted = ["segment", "recording_id"]
    before = shard_files.read(lake, "segments", "v1", DAY, "0a", wanted)
    compact(lake, "v1", DAY)
    assert shard_files.read(lake, "segments", "v1", DAY, "0a", wanted).equals(before)


def test_on_s3(s3):
    lake = lakes.open(f"s3://{s3}/lake")
    for place in range(3):
        write_shard(lake, f"0{place}")
    before = contents(lake)
    compact(lake, "v1", DAY)
    assert [packs.is_pack(name) for name in files_of(lake)] == [True]
    assert contents(lake) == before
    write_shard(lake, "01", n_rows=1)
    for name in SETS:
        packs.unpack(lake, shard_files.folder(name, "v1", DAY), "01")
    assert files_of(lake) == ["00.parquet", "01.parquet", "02.parquet"]
    assert shard_files.read(lake, "segments", "v1", DAY, "01").num_rows == 1
