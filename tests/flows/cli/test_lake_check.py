"""`undertone doctor --lake-check` on a whole lake, and on one that lost a file of every kind."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.lakes import make_lake
from helpers.packed_store import DAY, write_shard
from helpers.small_lake import publish_night, utterance
from typer.testing import CliRunner

from data_contracts.lake import Lake
from features.store import shard_files
from flows.cli.main import app


@pytest.fixture
def lake(tmp_path) -> Lake:
    made = make_lake(tmp_path)
    for shard in ("00", "01", "02"):
        write_shard(made, shard)
    publish_night(made, "r1", [utterance("00", DAY)])
    return made


def _check(lake: Lake) -> tuple[int, list[str]]:
    done = CliRunner().invoke(app, ["doctor", "--lake-check", "--lake", lake.uri, "--json"])
    found = json.loads(done.stdout)
    return done.exit_code, [f"{item['what']} {item['words']}" for item in found if item["state"] == "missing"]


def _feature(lake: Lake, feature_set: str, shard: str) -> Path:
    return Path(lake.uri, shard_files.path(feature_set, "v1", DAY, shard))


def test_a_whole_lake(lake):
    assert _check(lake) == (0, [])


def test_every_loss_is_listed_with_its_command(lake):
    _feature(lake, "egemaps", "01").unlink()
    broken = _feature(lake, "segments", "02")
    data = broken.read_bytes()
    broken.write_bytes(data[:4] + bytes(len(data) - 12) + data[-8:])  # its end is whole, its footer is not
    (data_file,) = Path(lake.uri, "analytics", "utterances").rglob("*.parquet")
    data_file.write_bytes(b"")
    code, lost = _check(lake)
    assert code == 1
    for name, command in (
        (_feature(lake, "egemaps", "01").name, f"`undertone backfill --from {DAY} --to {DAY} --force`"),
        (broken.name, f"`undertone backfill --from {DAY} --to {DAY} --force`"),
        (data_file.name, f"`undertone backfill --from {DAY} --to {DAY} --stage score --force`"),
    ):
        (words,) = [words for words in lost if name in words]
        assert command in words


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("analytics/utterances", "tables analytics/utterances"),
        ("analytics/published.json", "tables expected JSON"),
        ("staging/run=r2/run.json", "runs expected a run's ledger"),
        ("features/embeddings", f"features {shard_files.folder('embeddings', 'v1', DAY)}/00.parquet: no such file"),
    ],
)
def test_other_things(place, words, lake):
    path = Path(lake.uri, place)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"{")
    code, lost = _check(lake)
    assert (code, [found.startswith(words) for found in lost][:1]) == (1, [True]), lost


def test_changes_by_another_tool(lake):
    lake.delta("utterances").optimize.z_order(["recording_id"])
    lake.delta("utterances").vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert _check(lake) == (0, []), "the same rows"
    lake.delta("utterances").delete("true")
    code, (words,) = _check(lake)
    assert code == 1
    assert "utterances was changed by another tool: version 4: DELETE" in words
