"""Losses of published rows: every thing of a table, deleted, cut or emptied, found by listings and named."""

import datetime as dt
import shutil
from pathlib import Path

import pytest
from helpers.lakes import make_lake
from helpers.small_lake import publish_night, utterance

from data_contracts.errors import DamagedFile
from data_contracts.lake import Lake
from data_contracts.lake.pointer import LOST, read_pointer
from data_contracts.lake.published_version import lost_dates
from data_contracts.lake.snapshot import snapshot
from flows.analytics.sql import query
from tasks.publication.recovery import can_restore, describe_losses, find_losses, write_off

DAY, NEXT = dt.date(2026, 11, 21), dt.date(2026, 11, 22)
TABLE = "analytics/utterances"


@pytest.fixture
def lake(tmp_path) -> Lake:
    made = make_lake(tmp_path)
    publish_night(made, "r1", [utterance("a", DAY)])
    publish_night(made, "r2", [utterance("b", NEXT)])
    return made


def _first(lake: Lake, pattern: str) -> Path:
    return sorted(Path(lake.uri, TABLE).glob(pattern))[0]


def _delete(path: Path) -> None:
    path.unlink() if path.is_file() else shutil.rmtree(path)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


THINGS = {
    "data file": (f"date={NEXT}/*.parquet", [NEXT]),
    "first commit": ("_delta_log/00000000000000000000.json", None),
    "newest commit": ("_delta_log/00000000000000000001.json", None),
}


@pytest.mark.parametrize("damage", [_delete, _cut, _empty])
@pytest.mark.parametrize("thing", THINGS)
def test_a_part_of_a_table_is_lost(thing, damage, lake):
    assert find_losses(lake) == {}
    pattern, dates = THINGS[thing]
    damage(_first(lake, pattern))
    losses = find_losses(lake)
    assert list(losses) == ["utterances"]
    assert lost_dates(losses["utterances"]) == dates
    assert can_restore(losses, None)
    assert can_restore(losses, (DAY, NEXT)) == (dates is not None)
    assert not can_restore(losses, (DAY,))
    window = f" --from {NEXT} --to {NEXT}" if dates else ""
    assert f"`undertone backfill{window} --stage score --force` publishes" in describe_losses(lake, losses)
    if thing == "newest commit" and damage is _empty:
        return  # Delta reads it as a commit of nothing: runs see it, a query that names the table does not
    with pytest.raises(DamagedFile, match=r"utterances.*`undertone backfill"):
        query(lake, "SELECT * FROM utterances")
    with pytest.raises(DamagedFile, match=r"utterances.*`undertone backfill"):
        lake.scan("utterances").collect()


def test_a_table_is_gone(lake):
    shutil.rmtree(Path(lake.uri, TABLE))
    for ask in (lambda: query(lake, "SELECT 1 FROM utterances"), lambda: lake.scan("utterances")):
        with pytest.raises(DamagedFile, match=r"(?s)r2 published.*`undertone backfill --stage score --force`"):
            ask()
    losses = find_losses(lake)
    write_off(lake, losses)
    assert read_pointer(lake).versions["utterances"] == LOST
    assert lake.delta("utterances") is None, "the run that publishes them again begins with none"
    assert list(find_losses(lake)) == ["utterances"], "until that run is over"
    with pytest.raises(DamagedFile, match="found them lost"):
        lake.scan("utterances")
    publish_night(lake, "r3", [])
    assert list(find_losses(lake)) == ["utterances"], "that one published nothing"
    publish_night(lake, "r4", [utterance("a", DAY), utterance("b", NEXT)], n_published_recordings=2)
    assert find_losses(lake) == {}
    assert lake.scan("utterances").collect().height == 2


def test_a_lost_file_is_written_off_and_its_rows_published_again(lake):
    _cut(_first(lake, f"date={NEXT}/*.parquet"))
    write_off(lake, find_losses(lake))
    with pytest.raises(DamagedFile):
        lake.scan("utterances")
    publish_night(lake, "r3", [utterance("b", NEXT)], n_published_recordings=1)
    assert sorted(lake.scan("utterances").collect()["recording_id"]) == ["a", "b"]
    assert find_losses(lake) == {}


def test_the_pointer_is_gone_cut_or_anothers(lake):
    path = Path(lake.uri, "analytics", "published.json")
    held = path.read_bytes()
    for data in (held[:20], b"", b'{"run_id": "r2"}', b"[]", b'{"run_id": "r2", "versions": {"utterances": null}}'):
        path.write_bytes(data)
        with pytest.raises(DamagedFile, match=r"published\.json; found .*remove it and run `undertone backfill`"):
            snapshot(lake)
    path.write_bytes(held.replace(b'"utterances": 1', b'"utterances": 7'))
    with pytest.raises(DamagedFile, match="at version 7"):
        lake.scan("utterances")
    path.unlink()
    assert lake.scan("utterances").collect().height == 2, "the newest versions"
