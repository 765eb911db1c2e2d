"""Stage 1 of a retry: rejects to read again, their dates, and those skipped after too many tries."""

import datetime as dt
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from helpers.runs import make_run
from helpers.small_lake import no_utterances

from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from data_contracts.schema.feature_sets import RECORDING_FEATURES
from data_contracts.schema.tables import RECORDINGS, REJECTS
from features.corpus.layout import Corpus
from features.corpus.listing import list_objects
from features.store import shard_files
from tasks.run.context import RejectFilter
from tasks.stages.discover import discover
from tasks.stages.discover_rejects import discover_rejects
from tasks.staging.found_objects import Discovery, read_found
from tasks.staging.rejects import matching_rejects

DAY, OTHER = dt.date(2026, 11, 21), dt.date(2026, 11, 25)
VERSIONS = dict.fromkeys(["emotion_model", "speaker_model", "feature_version", "run_id"], "v1")


@pytest.fixture
def corpus(tmp_path) -> Corpus:
    """Three files, last changed on their day."""
    for name in "abc":
        _put(tmp_path / "corpus/2026/11/21" / name, b"x", DAY)
    return Corpus(str(tmp_path / "corpus"))


def _put(path: Path, data: bytes, day: dt.date) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    noon = dt.datetime.combine(day, dt.time(12), dt.UTC).timestamp()
    os.utime(path, (noon, noon))


def _failed(lake: Lake, corpus: Corpus, *attempts: dict[str, str]) -> None:
    """Write the store after these attempts (reasons by name, a shard each), and the tables after the last."""
    items = {item.uri.rsplit("/", 1)[-1]: item for item in list_objects(corpus, [DAY])}
    shown: dict[str, dict[str, Any]] = {}
    for place, reasons in enumerate(attempts):
        rows = []
        for name, reason in reasons.items():
            item = items[name]
            told = {key: getattr(item, key) for key in ("uri", "etag", "bytes", "modified")} | {
                "attributes": f'"{name}"'
            }
            status = "rejected" if reason else "ok"
            row = {**told, "tries": place + 1, "read_at": item.modified, "status": status, "reason": reason}
            rows.append(row)
            shown[name] = row | {"date": item.date} | VERSIONS
        tables = no_utterances() | {"recordings": pa.Table.from_pylist(rows, schema=RECORDING_FEATURES)}
        shard_files.write_shard(lake, tables, version="v1", date=DAY, shard=f"0{place}", configuration="")
    published = [row for row in shown.values() if row["reason"]]
    for table, schema in (("rejects", REJECTS), ("recordings", RECORDINGS)):
        write_deltalake(
            lake.uri_of("analytics", table), pa.Table.from_pylist(published, schema=schema), mode="overwrite"
        )


def _planned(run: Any, found: Discovery, *dates: dt.date) -> dict[str, int]:
    frames = [frame for date in dates for frame in read_found(run, found, date)]
    return {row["uri"][-1]: row["tries"] for frame in frames for row in frame.iter_rows(named=True)}


def test_matching_rejects_are_read_and_exhausted_ones_skipped(lake, corpus):
    _failed(lake, corpus, {"a": "corrupt", "b": "empty", "c": None}, {"a": "corrupt", "b": "empty"}, {"a": "corrupt"})
    run = make_run(lake, corpus=corpus, retry=RejectFilter())
    found = discover_rejects.fn(run)
    assert (found.n_listed, found.n_known, found.left_alone) == (2, 1, {"corrupt": 1})
    assert (found.dates, found.window, found.n_bytes) == ((DAY,), (DAY,), 1)
    assert _planned(run, found, DAY) == {"b": 2}


def test_objects_that_a_dead_run_read_well_are_not_read_again(lake, corpus):
    _failed(lake, corpus, {"a": "vanished"})
    again = pa.Table.from_pylist(
        [
            {**row, "tries": 2, "reason": None, "status": "ok"}
            for row in shard_files.read(lake, "recordings", "v1", DAY, "00").to_pylist()
        ],
        schema=RECORDING_FEATURES,
    )
    shard_files.write_shard(
        lake, no_utterances() | {"recordings": again}, version="v1", date=DAY, shard="01", configuration=""
    )
    found = discover_rejects.fn(make_run(lake, corpus=corpus, retry=RejectFilter()))
    assert (found.n_listed, found.n_known, found.dates, found.window) == (1, 1, (), (DAY,))


def test_a_changed_file_gets_the_date_of_a_listing(lake, corpus):
    """By its last change it is of another day now; its tries start again."""
    corpus = Corpus(corpus.root, "modified")
    _failed(lake, corpus, {"a": "corrupt", "b": "corrupt"})
    _put(Path(corpus.root) / "2026/11/21/a", b"changed", OTHER)
    run = make_run(lake, corpus=corpus, retry=RejectFilter())
    found = discover_rejects.fn(run)
    assert (found.dates, found.window) == ((DAY, OTHER), (DAY, OTHER))
    assert _planned(run, found, DAY) == {"b": 1}
    assert _planned(run, found, OTHER) == {"a": 0}


def test_a_removed_file_keeps_its_known_values(lake, corpus):
    _failed(lake, corpus, {"a": "corrupt"})
    (before,) = matching_rejects(lake, RejectFilter(), None)
    Path(before["uri"]).unlink()
    run = make_run(lake, corpus=corpus, retry=RejectFilter())
    found = discover_rejects.fn(run)
    assert found.n_listed == 1
    ((row,),) = [part.drop("date").to_dicts() for part in read_found(run, found, DAY)]
    as_it_was = {name: before[name] for name in ("uri", "etag", "bytes", "modified", "attributes", "tries")}
    assert row == as_it_was | {"read_after": before["read_at"]}


def test_reasons_dates_and_uris_filter(lake, corpus):
    _failed(lake, corpus, {"a": "corrupt", "b": "empty", "c": "empty"})
    uri = f"{corpus.root}/2026/11/21/c"

    def names(choice: RejectFilter, dates=None) -> str:
        return "".join(row["uri"][-1] for row in matching_rejects(lake, choice, dates))

    assert names(RejectFilter()) == "abc"
    assert names(RejectFilter(reasons=("empty",))) == "bc"
    assert names(RejectFilter(reasons=("empty",), uris=(uri,))) == "c"
    assert names(RejectFilter(reasons=("corrupt",), uris=(uri,))) == ""
    assert names(RejectFilter(), (DAY,)) == "abc"
    assert names(RejectFilter(), (OTHER,)) == ""
    with pytest.raises(UsageError, match="'d' is not among the rejects"):
        matching_rejects(lake, RejectFilter(uris=("d",)), None)


def test_an_empty_lake_has_nothing_to_retry(lake, corpus):
    found = discover_rejects.fn(make_run(lake, corpus=corpus, retry=RejectFilter()))
    assert (found.n_listed, found.dates, found.window) == (0, (), ())


def test_a_nightly_skips_exhausted_rejects_and_force_does_not(lake, corpus):
    _failed(lake, corpus, *[{"a": "vanished", "b": "corrupt", "c": None}] * 2, {"a": "vanished"})
    nightly = make_run(lake, DAY, corpus=corpus, retry=RejectFilter())
    assert (discover.fn(nightly).n_known, discover.fn(nightly).dates) == (3, ())
    forced = make_run(lake, DAY, corpus=corpus, retry=RejectFilter(), force=True)
    found = discover.fn(forced)
    assert found.n_known == 0
    assert _planned(forced, found, DAY) == {"a": 2, "b": 1, "c": 1}


def test_a_nightly_retries_transient_rejects(lake, corpus):
    _failed(lake, corpus, {"a": "vanished", "b": "corrupt", "c": None}, {"a": "unreadable"})
    run = make_run(lake, DAY, corpus=corpus, retry=RejectFilter())
    found = discover.fn(run)
    assert found.n_known == 2
    assert _planned(run, found, DAY) == {"a": 2}
