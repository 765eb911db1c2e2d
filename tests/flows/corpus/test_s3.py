"""Corpus and lake in S3, on a real server on loopback: the sample, and real speech where present."""

import csv

import polars as pl
import pytest
from helpers.explore_profile import only_exploring
from helpers.tables import assert_same_tables

from data_contracts.lake import Lake
from flows.analytics.sql import query
from flows.backfill import backfill
from flows.workers.embedded_s3 import upload


def test_s3_and_a_folder_give_the_same_tables(settings, s3, sample, contents, sample_lake):
    upload(sample, s3, "calls/")
    there = settings | {"corpus": f"s3://{s3}/calls", "lake": f"s3://{s3}/lake"}
    ledger = backfill(settings=there)
    assert ledger.extracted.n_objects == 34
    report = Lake(there["lake"]).read(f"validation/run={ledger.run_id}/report.html").decode()
    assert ">extract</span>" in report
    assert_same_tables(contents(there["lake"]), contents(sample_lake[0]), by=2e-3)
    again = backfill(settings=there)
    assert (again.n_known, again.n_published_recordings) == (34, 0)
    answer = query(Lake(there["lake"]), "SELECT count(*) AS n FROM utterances u JOIN embeddings e USING (recording_id)")
    assert answer["n"][0].as_py() >= ledger.n_published_utterances
    assert Lake(there["lake"]).scan("utterances").collect().height == ledger.n_published_utterances


@only_exploring
def test_processes_reach_s3_too(settings, s3, few):
    upload(few, s3, "calls/")
    there = settings | {"corpus": f"s3://{s3}/calls", "lake": f"s3://{s3}/lake", "cluster": "processes"}
    assert backfill(settings=there).extracted.n_objects == 3


@only_exploring
@pytest.mark.corpora
@pytest.mark.slow
def test_real_speech_over_s3(settings, s3, shared_corpora, contents, tmp_path):
    """1,299 emotion clips, and LibriSpeech: all counted; a second run does nothing; other shards, the same tables."""
    with (shared_corpora / "labels.csv").open() as file:
        labelled = list(csv.DictReader(file))
    corpora = ["emodb", "ravdess", "librispeech_train-clean-100"]
    rows = [row for row in labelled if row["corpus"] in corpora]
    for row in rows:
        clip = tmp_path / "clips" / row["path"]
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.symlink_to(shared_corpora / row["path"])
    upload(tmp_path / "clips", s3, "calls/2026/11/21/")
    there = settings | {"corpus": f"s3://{s3}/calls", "lake": f"s3://{s3}/lake"}
    ledger = backfill(settings=there)
    assert ledger.n_listed == ledger.extracted.n_objects == len(rows) == 1299 + 251
    assert ledger.extracted.n_ok + ledger.extracted.n_rejected == len(rows)
    assert ledger.extracted.n_rejected < 0.01 * len(rows)
    lake = Lake(there["lake"])
    recordings = lake.scan("recordings").collect()
    assert recordings.height == len(rows)
    usable = recordings.filter(pl.col("status") == "ok").unique("recording_id")
    assert usable["n_segments"].sum() == lake.scan("utterances").collect().height == ledger.n_published_utterances
    again = backfill(settings=there)
    assert (again.n_known, again.extracted.n_objects, again.n_published_recordings) == (len(rows), 0, 0)
    other = there | {"lake": f"s3://{s3}/other", "shard_bytes": 700_000, "workers": 1}
    backfill(settings=other)
    assert_same_tables(contents(other["lake"]), contents(there["lake"]), by=2e-3)
