"""A file of the lake that is gone, cut, empty or another's is named, with the command that brings it back."""

import datetime as dt

import pytest
from helpers.small_lake import write_segments

from data_contracts.errors import DamagedFile
from data_contracts.lake import Lake
from data_contracts.lake.pack_index import read_footer
from features.store import packs, shard_files
from features.store.compaction import compact
from flows.analytics.sql import query

DAY = dt.date(2026, 11, 21)
COMMAND = "`undertone backfill --from 2026-11-21 --to 2026-11-21 --force`"
DAMAGES = {
    "cut": lambda data: data[: len(data) // 2],
    "end cut": lambda data: data[:-1],
    "empty": lambda _data: b"",
    "zeros": lambda data: bytes(len(data)),
    "another's": lambda _data: b"<html>404</html>",
}


@pytest.fixture
def lake(lake_anywhere) -> Lake:
    for shard in ("0a", "0b", "0c"):
        write_segments(lake_anywhere, DAY, shard)
    return lake_anywhere


def _says(caught: pytest.ExceptionInfo[DamagedFile], lake: Lake, path: str) -> bool:
    words = str(caught.value)
    return words.startswith("expected ") and "found" in words and lake.uri_of(path) in words and COMMAND in words


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_loose_file(damage, lake):
    for feature_set in ("segments", "recordings"):
        path = shard_files.path(feature_set, "v1", DAY, "0b")
        lake.write(path, DAMAGES[damage](lake.read(path)))
        with pytest.raises(DamagedFile) as read:
            shard_files.read(lake, feature_set, "v1", DAY, "0b")
        assert _says(read, lake, path)
    with pytest.raises(DamagedFile) as rows:
        shard_files.rows(lake, "v1", DAY)
    assert _says(rows, lake, path)
    segments = shard_files.path("segments", "v1", DAY, "0b")
    with pytest.raises(DamagedFile) as asked:
        query(lake, "SELECT sum(start_s) FROM segments")
    assert _says(asked, lake, segments)
    with pytest.raises(DamagedFile) as packed:
        compact(lake, "v1", DAY)
    assert COMMAND in str(packed.value)
    if lake.is_local:
        with pytest.raises(DamagedFile) as scanned:
            lake.scan("segments")
        assert _says(scanned, lake, segments)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_pack(damage, lake):
    compact(lake, "v1", DAY)
    (name,) = packs.list_packs(lake, folder := shard_files.folder("segments", "v1", DAY))
    lake.write(f"{folder}/{name}", DAMAGES[damage](lake.read(f"{folder}/{name}")))
    read_footer.cache_clear()
    for use in (
        lambda: shard_files.read(lake, "segments", "v1", DAY, "0b"),
        lambda: list(packs.tables(lake, f"{folder}/{name}")),
        lambda: query(lake, "SELECT sum(start_s) FROM segments"),
    ):
        with pytest.raises(DamagedFile) as caught:
            use()
        assert _says(caught, lake, f"{folder}/{name}")


def test_a_missing_file_is_named_where_the_shard_is_read(lake):
    path = shard_files.path("segments", "v1", DAY, "0b")
    lake.remove(path)
    with pytest.raises(DamagedFile) as caught:
        shard_files.read(lake, "segments", "v1", DAY, "0b")
    assert _says(caught, lake, path)


@pytest.mark.parametrize("data", [b"", b"{", b"PAR1\xff\x00"])
def test_json_that_is_none(data, lake):
    lake.write("staging/run=r1/ready.json", data)
    with pytest.raises(DamagedFile, match=r"expected JSON in .*ready.json; found .*remove staging/run=r1"):
        lake.read_json("staging/run=r1/ready.json")
