"""Promise 4: a model that breaks a contract is stopped by the audit, and the tables stay byte for byte as they were."""

import hashlib
import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from helpers.mailboxes import webhook
from mlflow.models import infer_signature

from data_contracts.errors import ModelError, ValidationStopped
from data_contracts.lake import Lake
from features.dsp.gemaps import EGEMAPS_NAMES
from flows.backfill import backfill

CODE = '''
import numpy as np
import pandas as pd


class Broken:
    """Its scores sum to 1.5."""

    def predict(self, frame, params=None):
        scores = np.full((len(frame), 4), 0.375)
        return pd.DataFrame(scores, columns=["anger", "happiness", "neutral", "sadness"])


def _load_pyfunc(path):
    return Broken()
'''


@pytest.fixture
def broken(own_registry, tmp_path, monkeypatch):
    """A registry whose emotion champion breaks the contract."""
    (tmp_path / "broken_emotion.py").write_text(CODE)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "nothing.txt").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    features = pd.DataFrame(np.zeros((1, len(EGEMAPS_NAMES)), np.float32), columns=list(EGEMAPS_NAMES))
    scores = pd.DataFrame(np.zeros((1, 4)), columns=["anger", "happiness", "neutral", "sadness"])
    mlflow.set_tracking_uri(own_registry.uri)
    mlflow.set_registry_uri(own_registry.uri)
    mlflow.set_experiment("undertone")
    logged = mlflow.pyfunc.log_model(
        name="emotion",
        loader_module="broken_emotion",
        data_path=str(tmp_path / "weights"),
        signature=infer_signature(features, scores),
        registered_model_name="emotion",
        pip_requirements=[],
    )
    own_registry.promote("emotion", str(logged.registered_model_version))
    return own_registry


def test_scores_that_do_not_sum_to_one_stop_the_publication(settings, broken, published, monkeypatch):
    before = _bytes(settings["lake"])
    with webhook() as mailbox:
        monkeypatch.setenv("UNDERTONE_NOTIFY", f"json://127.0.0.1:{mailbox.port}")
        with pytest.raises(ValidationStopped, match="score_sum"):
            backfill(stage="score", settings=settings | {"registry": broken.uri})
    (told,) = mailbox.taken
    assert told["title"] == "Undertone: backfill was stopped by its validation"
    for words in ("score_sum", "docs/index.html", f"undertone runs --lake {settings['lake']}", "in stage audit"):
        assert words in told["message"]
    assert _bytes(settings["lake"]) == before
    lake = Lake(settings["lake"])
    (run,) = [name for name in lake.names("validation") if name != f"run={published.run_id}"]
    pages = [path for path in Path(lake.uri_of("validation", run, "docs")).rglob("*.html") if "utterances" in str(path)]
    assert any("score_sum" in page.read_text() for page in pages), "the Data Docs name what failed"
    failures = lake.read_json(f"validation/{run}/verdict.json")["failures"]
    assert [(item["table"], item["columns"]) for item in failures if item["severity"] == "critical"] == [
        ("utterances", "score_sum")
    ]
    assert backfill(settings=settings).n_published_recordings == 0, "the good champion goes on as if nothing was"


def test_the_command_exits_3_and_says_where_to_look(settings, broken, tmp_path, undertone):
    arguments = ["backfill", "--corpus", settings["corpus"], "--lake", settings["lake"], "--cluster", "threads"]
    theirs = f"import sys; sys.path.insert(0, {str(tmp_path)!r})"
    ended = undertone(*arguments, first=theirs, UNDERTONE_REGISTRY=broken.uri)
    assert ended.returncode == 3, ended.stderr
    assert "score_sum" in ended.stderr
    assert "docs/index.html" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (Path(settings["lake"]) / "analytics").exists()
    listed = undertone("runs", "--lake", settings["lake"], "--json")
    assert [run["status"] for run in json.loads(listed.stdout)] == ["stopped"]


def test_a_model_for_other_features_is_refused(settings, own_registry, tmp_path, monkeypatch, published):
    ref = own_registry.champion("emotion")
    monkeypatch.setattr(type(own_registry), "champion", _with_other_features(type(own_registry).champion))
    with pytest.raises(ModelError, match="was trained on the feature set egemaps another"):
        backfill(stage="score", force=True, settings=settings | {"registry": own_registry.uri})
    fresh = settings | {"registry": own_registry.uri, "lake": str(tmp_path / "fresh")}
    with pytest.raises(ModelError, match="was trained on the feature set egemaps another"):
        backfill(settings=fresh)
    assert not (tmp_path / "fresh" / "features").exists(), "no audio is read in vain"
    assert ref.metadata["features"]["egemaps"] != "another"


def _with_other_features(champion):
    def other(self, name):
        ref = champion(self, name)
        if name == "emotion":
            ref.metadata["features"] = {"egemaps": "another"}
        return ref

    return other


def _bytes(lake: str) -> dict[str, str]:
    files = (path for path in (Path(lake) / "analytics").rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
