"""A lake and registry published by commit 417aaf7: today's code reads, goes on with and maintains them.

Since then the default preparation of audio changed, and with it the feature version: audio is read again, and people,
models and tables go on.

What is in them, and how they were made, is in tests/data/lake_417aaf7/README.md.
"""

import contextlib
import datetime as dt
import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import mlflow
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

import models
from flows.backfill import backfill
from flows.cli.main import app
from flows.nightly import nightly
from flows.settings import Settings, configs
from models import serving

DATA = Path(__file__).parents[1] / "data" / "lake_417aaf7"
WEIGHTS = Path(models.__file__).parent / "weights"
BUCKET = "undertone-earlier"
VERSION = "83d983da8118"
NEW_VERSION, NEW_PULLED_VERSION = "c2670232d670", "0492746c18ac"  # today's, with the same models
EMOTION, LINEAR, SPEAKER = "emotion/1+53b62d0f", "emotion/2+16ab2742", "speaker/1+6e6a51c2"
ROWS = {
    **{"utterances": 5, "speakers": 4, "rejects": 2, "recordings": 8, "runs": 5, "drift": 276, "feature_daily": 267},
    **{"emotion_daily": 5, "speaker_daily": 5, "quality_daily": 3, "rejects_daily": 2},
    **{"features_recordings": 8, "segments": 6, "egemaps": 6, "suprasegmental": 6, "embeddings": 6},
}
UTTERANCES = [
    ("spk_402b0724de03", "anger", 0.131),
    ("spk_901dc763f08e", "happiness", 0.114),
    ("spk_402b0724de03", "anger", 0.004),
    ("ada-lovelace", "neutral", 0.456),
    ("spk_8c99887789fc", "anger", 0.203),
]
EXTRACTOR = "d45f1bad8df5"  # speaker/1's
VERSIONS = (
    ({}, "7df7c3194153"),
    ({"denoise": "wiener"}, "82e5b6984df9"),
    ({"vad": "energy"}, "964302b4162b"),
    ({"logmel": True, "lld": True}, "dab06b01a1e6"),
    ({"speaker_changes": False}, "9f11eac87e08"),
    ({"channels": "each", "dc": "high_pass", "level_lufs": -23.0}, "f91ae78f2168"),
)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """The lake, the registry in it, unpacked; the shipped weights put in (README.md)."""
    with tarfile.open(DATA / "lake.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    lake = tmp_path / "lake"
    for path, told in json.loads((lake / "shipped.json").read_text()).items():
        weights = WEIGHTS / told["model"] / "weights.safetensors"
        assert hashlib.sha256(weights.read_bytes()).hexdigest() == told["sha256"], "README.md says what to do"
        shutil.copyfile(weights, lake / path)
    return lake


@pytest.fixture
def undertone(lake: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`undertone …` on the lake, in this process; what it says as JSON."""
    monkeypatch.setenv("UNDERTONE_LAKE", str(lake))
    monkeypatch.setenv("UNDERTONE_CLUSTER", "threads")

    def do(*argv: str) -> Any:
        answer = CliRunner().invoke(app, argv, catch_exceptions=False)
        assert answer.exit_code == 0, answer.output
        return json.loads(answer.stdout)

    return do


@pytest.fixture
def query(undertone: Callable[..., Any]) -> Callable[..., list[dict[str, Any]]]:
    return lambda sql, *more: undertone("query", sql, "--format", "json", *more)


@pytest.fixture
def flags(lake: Path, s3: str, _prefect: None) -> dict[str, Any]:
    """Settings for a flow over the corpus, which lies where it lay: the names and ETags of its objects are the same."""
    client = boto3.client("s3")
    with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket=BUCKET)
    corpus = lake.parent / "corpus"
    for path in sorted(path for path in corpus.rglob("*") if path.is_file()):
        client.put_object(Bucket=BUCKET, Key=str(path.relative_to(corpus)), Body=path.read_bytes())
    client.close()
    return {"corpus": f"s3://{BUCKET}", "lake": str(lake), "cluster": "threads", "workers": 1}


def test_every_table_and_feature_set_is_read(query):
    found = {table: query(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in ROWS}
    assert found == ROWS
    utterances = query("SELECT * FROM utterances ORDER BY date, start_s")
    assert [(row["speaker_id"], row["emotion"], round(row["score_neutral"], 3)) for row in utterances] == UTTERANCES
    assert {row["emotion_model"] for row in utterances} == {EMOTION}
    assert {row["speaker_model"] for row in utterances} == {SPEAKER}
    assert {row["feature_version"] for row in utterances} == {VERSION}


def test_columns_that_were_added_since_are_null(query):
    assert query("SELECT count(truncated_s) AS n FROM recordings") == [{"n": 0}]
    assert query("SELECT count(n_truncated) + count(truncated_s) AS n FROM quality_daily") == [{"n": 0}]


def test_what_people_ask_is_answered(undertone):
    found = {row["name"]: row["n_utterances"] for row in undertone("speakers", "--json")}
    assert found["Ada Lovelace"] == 1
    assert sorted(row["reason"] for row in undertone("rejects", "--json")) == ["empty", "not_audio"]
    flows = ["backfill", "nightly", "nightly", "enroll", "nightly"]
    assert [run["flow"] for run in undertone("runs", "--json")] == flows
    listed = undertone("models", "list", "--json")
    assert {(row["model"], row["version"]): row["aliases"] for row in listed} == {
        ("emotion", "1"): "@champion",
        ("emotion", "2"): "@previous",
        ("emotion", "3"): "@challenger",
        ("speaker", "1"): "@champion",
        ("speaker", "2"): "@challenger",
    }
    assert len(undertone("models", "show", "emotion", "2", "--json")["changes"]) == 2


def test_the_tables_are_read_as_each_run_left_them(query):
    runs = query("SELECT run_id FROM runs ORDER BY started")
    told = "SELECT date, emotion_model FROM utterances ORDER BY date"
    left = [[row["emotion_model"] for row in query(told, "--as-of", run["run_id"])] for run in runs]
    assert left == [[EMOTION] * 2, [EMOTION] * 2, [EMOTION] * 4, [EMOTION] * 4 + [LINEAR], [EMOTION] * 5]


def test_all_audio_is_read_again_and_people_stay(flags, lake, query):
    before = _files(lake / "features")
    ledger = backfill(settings=flags)
    assert ledger.feature_version == NEW_VERSION
    assert (ledger.n_listed, ledger.n_known, ledger.extracted.n_objects) == (8, 0, 8)
    assert before.items() <= _files(lake / "features").items(), "what is stored stays until it is dropped"
    utterances = query("SELECT * FROM utterances ORDER BY date, start_s")
    assert {row["feature_version"] for row in utterances} == {NEW_VERSION}
    assert {row["emotion_model"] for row in utterances} == {EMOTION}
    assert [row["speaker_id"] for row in utterances] == [_enrolled(speaker) for speaker, *_ in UTTERANCES]


def test_rolled_back_and_scored_again(flags, query, undertone):
    """From stored features, without the audio; a voice that was enrolled meanwhile is found in them."""
    backfill(settings=flags)
    assert undertone("models", "rollback", "emotion", "--json") == {
        "model": "emotion",
        "champion": LINEAR,
        "previous": EMOTION,
    }
    ledger = backfill(stage="score", settings=flags | {"corpus": ""})
    assert (ledger.n_published_recordings, ledger.n_published_utterances) == (8, ROWS["utterances"])
    utterances = query("SELECT * FROM utterances ORDER BY date, start_s")
    assert {(row["emotion_model"], row["feature_version"]) for row in utterances} == {(LINEAR, NEW_VERSION)}
    assert [row["speaker_id"] for row in utterances] == [_enrolled(speaker) for speaker, *_ in UTTERANCES]
    assert undertone("models", "rollback", "emotion", "--json")["champion"] == EMOTION


def test_maintained(flags, lake, undertone, contents):
    before = contents(lake)
    arguments = ("maintain", "--older-than-days", "0", "--drop-versions", "--json")
    lines = {line["what"]: line for line in undertone(*arguments)}
    egemaps = lines["features/egemaps"]
    assert (egemaps["did"], egemaps["files_before"], egemaps["files_after"]) == ("packed", 4, 3)
    assert lines["analytics/speakers"]["did"] == "compacted"
    after = contents(lake)
    assert after.keys() == before.keys()
    for table, rows in after.items():
        assert_frame_equal(rows, before[table])
    ledger = nightly(date=dt.date(2026, 11, 21), settings=flags)
    assert (ledger.n_listed, ledger.n_known, ledger.extracted.n_objects) == (8, 0, 8)


def test_each_loader_that_is_stored_loads(lake):
    loaders = set()
    for path in sorted(lake.glob("registry/artifacts/models/*/artifacts/MLmodel")):
        model = mlflow.pyfunc.load_model(str(path.parent))
        loader = model.metadata.flavors["python_function"]["loader_module"]
        loaders.add(loader)
        assert len(model.predict(model.input_example)) == 1
        if loader.endswith("speaker"):
            assert model.get_raw_model().extractor_digest == model.metadata.metadata["extractor_digest"]
    assert loaders == {"models.emotion_pyfunc", "models.speaker", "models.pulled_emotion", "models.pulled_speaker"}


def test_pulled_models_become_champions(flags, undertone):
    """They hear the audio, as a feature version of their own."""
    for name, version in (("speaker", "2"), ("emotion", "3")):
        assert undertone("models", "promote", name, version, "--force", "--json")["promoted"]
    ours = Settings.load(**flags)
    speaker = ours.open_registry(ours.open_lake()).champion("speaker")
    assert serving.own_speaker_encoder(speaker) is not None, (
        "it is one of our own kinds, which hear along an utterance, too"
    )
    ledger = nightly(date=dt.date(2026, 11, 19), settings=flags | {"look_back_days": 0})
    assert (ledger.n_listed, ledger.n_known, ledger.extracted.n_objects) == (3, 0, 3)
    assert ledger.feature_version == NEW_PULLED_VERSION
    assert ledger.n_published_recordings == 3


@pytest.mark.parametrize(("settings", "version"), VERSIONS)
def test_settings_make_a_known_feature_version(settings, version):
    ours = configs.feature_config(Settings.load(**settings), same_voice=0.608)  # speaker/1's, too
    assert ours.version(EXTRACTOR) == version


def _enrolled(speaker: str) -> str:
    """The speaker of that time under today's name: one of the found voices was enrolled later."""
    return speaker.replace("spk_901dc763f08e", "ada-lovelace")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
