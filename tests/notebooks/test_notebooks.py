"""Notebooks on a small lake, local and on S3: their results are DuckDB's; on an empty lake they tell what to run."""

import ast
import os
import subprocess
import sys

import polars as pl
import pytest
from helpers.paths import ROOT
from polars.testing import assert_frame_equal

from data_contracts.lake import Lake
from flows.analytics.sql import query
from flows.backfill import backfill
from flows.workers.embedded_s3 import upload
from models.emotion.model import EmotionModel
from models.promotion import judge_challenger
from models.registry import loading

pytestmark = pytest.mark.slow  # making the lake takes long
NOTEBOOKS = ROOT / "notebooks"
INTERNAL = {"data_contracts", "features", "models", "tasks", "flows"}
NAMES = ("first_look", "speakers", "compare_models", "train_your_own")


def _query(lake, sql):
    return pl.DataFrame(query(Lake(str(lake)), sql))


def test_first_look_agrees_with_duckdb_and_draws_the_picture_of_the_readme(lake, run, tmp_path):
    cells = run("first_look", "--lake", lake, "--picture", tmp_path / "look.png")
    select = "SELECT name AS speaker, n_utterances AS utterances, round(speech_s, 1) AS speech_s FROM speakers"
    assert (
        cells["by_speaker"]
        .select("speaker", "utterances", "speech_s")
        .sort("speaker")
        .equals(_query(lake, f"{select} ORDER BY 1"))
    )
    assert cells["timeline"].height == _query(lake, "SELECT * FROM utterances").height
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG")


def test_speakers_agrees_with_the_published_tables(lake, run):
    cells = run("speakers", "--lake", lake)
    daily = _query(lake, "SELECT speaker_id AS speaker, sum(n_utterances)::BIGINT AS n FROM speaker_daily GROUP BY 1")
    assert cells["totals"].select("speaker", n="utterances").sort("speaker").equals(daily.sort("speaker"))
    assert cells["shares"]["utterances"].sum() == daily["n"].sum()
    cosines = _query(
        lake,
        """SELECT a.name AS voice, max(list_cosine_similarity(a.centroid, b.centroid)) AS cosine
        FROM speakers a JOIN speakers b ON a.speaker_id <> b.speaker_id GROUP BY 1 ORDER BY 1""",
    )
    assert cells["nearest"].sort("voice")["cosine"].to_list() == pytest.approx(cosines["cosine"].to_list(), abs=1e-5)


def test_a_trained_classifier_becomes_a_challenger_that_can_be_judged(lake, labels, run, registry, acted):
    cells = run("train_your_own", "--lake", lake, "--labels", labels, "--register")
    assert cells["rows"].height == _query(lake, "SELECT * FROM utterances").height
    assert 0 <= cells["uar"] <= 1
    challenger, champion = registry.version("emotion", "challenger"), registry.champion("emotion")
    assert challenger.version == cells["challenger"].version != champion.version
    figures, _ = registry.metrics_and_card(challenger)
    assert figures["uar"] == pytest.approx(cells["uar"])
    verdict = judge_challenger(challenger, champion, acted, voices=registry.champion("speaker"))
    assert verdict.metric == "uar_adaptive", verdict.reason
    assert challenger.label in verdict.reason
    again = judge_challenger(challenger, champion, labels.parent / "corpus", voices=registry.champion("speaker"))
    assert not again.accepted


@pytest.fixture(scope="session")
def scored_twice(lake, registry):
    """The lake scored once more, by a model that predicts more anger than the champion."""
    model = EmotionModel.load(loading.weights_folder(registry.champion("emotion")))
    for member in (*model.members, model.linear):
        member.outer.bias.data[0] += 1.0
    folder = lake.parent / "angrier"
    model.save(folder)
    registry.promote("emotion", registry.register("emotion", folder, alias="angrier", description="test").version)
    backfill(
        stage="score",
        settings={"lake": str(lake), "registry": registry.uri, "cluster": "threads", "emotion_prior": "balanced"},
    )
    return lake


def test_comparison_reads_the_tables_as_of_both_runs(scored_twice, run):
    cells = run("compare_models", "--lake", scored_twice)
    assert cells["both"].height == _query(scored_twice, "SELECT * FROM utterances").height
    now = _query(scored_twice, "SELECT recording_id, segment, coalesce(emotion, 'none') AS after FROM utterances")
    assert cells["both"].select(now.columns).sort(pl.all()).equals(now.sort(pl.all()))
    angry = (cells["both"].select((pl.col(name) == "anger").sum()).item() for name in ("before", "after"))
    assert next(angry) < next(angry), "before is the champion's, after the angrier one's"
    assert 0 < cells["agreement"] < 1
    assert cells["differences"].height == (~cells["both"]["same"]).sum()
    both = {name: cells["both"][name].to_list() for name in ("before", "after")}
    from sklearn.metrics import cohen_kappa_score

    assert cells["kappa"] == pytest.approx(cohen_kappa_score(both["before"], both["after"]))


def test_results_are_the_same_over_s3(scored_twice, run, s3):
    upload(scored_twice, s3, "lake/")
    for name in NAMES:
        here, there = run(name, "--lake", scored_twice), run(name, "--lake", f"s3://{s3}/lake")
        frames = [key for key, value in here.items() if isinstance(value, pl.DataFrame)]
        assert len(frames) > 2
        for key in frames:
            assert_frame_equal(here[key], there[key], check_row_order=False)


@pytest.mark.parametrize("name", NAMES)
def test_imports_no_internal_package(name):
    tree = ast.walk(ast.parse((NOTEBOOKS / f"{name}.py").read_text()))
    imports = [node for node in tree if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [getattr(node, "module", None) or node.names[0].name for node in imports]
    assert "undertone" in names
    assert not INTERNAL & {module.split(".")[0] for module in names}


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_lake_stops_with_the_command_to_run(name, run, tmp_path):
    with pytest.raises(SystemExit, match="run `undertone backfill"):
        run(name, "--lake", tmp_path)


def test_runs_as_a_script_with_the_lake_from_the_environment(lake):
    script = subprocess.run(
        [sys.executable, "-W", "ignore", str(NOTEBOOKS / "speakers.py")],
        env={**os.environ, "UNDERTONE_LAKE": str(lake)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "speech_s" in script.stdout
