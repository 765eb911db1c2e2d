"""Our own registered models are read from their artifacts, on a disk or in S3, without MLflow."""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.paths import ROOT, WEIGHTS

from data_contracts.errors import ModelError, TransientError
from data_contracts.lake import Lake
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.records import ModelRef
from models import serving
from models.emotion.model import EmotionModel
from models.registry import loading
from models.registry.mlflow_registry import Registry
from models.speaker.model import SpeakerModel

_WITHOUT_MLFLOW = """
import sys
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.records import ModelRef
from models import serving
emotion, speaker = (eval(line, {"ModelRef": ModelRef}) for line in sys.argv[1:])
assert serving.emotion_model(emotion).classes and serving.own_speaker_encoder(speaker).dim
assert "mlflow" not in sys.modules, "nobody asked it"
"""


@pytest.fixture(autouse=True)
def _fresh_process():
    for cached in (serving._load_own, serving._emotion_model):
        cached.cache_clear()


@pytest.fixture
def _without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(ref: ModelRef) -> None:
        raise AssertionError(f"MLflow was asked for {ref.label}")

    monkeypatch.setattr(loading, "load", asked)
    monkeypatch.setattr(loading, "weights_folder", asked)


@pytest.fixture(scope="module")
def refs(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelRef, ModelRef]:
    """Return the shipped models, registered."""
    folder = tmp_path_factory.mktemp("registry")
    models = Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))
    return models.champion("emotion"), models.champion("speaker")


def test_a_worker_does_not_import_mlflow(refs):
    command = [sys.executable, "-c", _WITHOUT_MLFLOW, *map(repr, refs)]
    subprocess.run(command, check=True, cwd=ROOT)


@pytest.mark.usefixtures("_without_mlflow")
def test_what_is_served_is_what_was_registered(refs):
    emotion, speaker = refs
    served, own = serving.emotion_model(emotion), EmotionModel.load(WEIGHTS / "emotion")
    assert (served.classes, served.feature_names) == (own.classes, own.feature_names)
    waveform, lengths = 0.1 * torch.randn(2, 32_000), torch.tensor([32_000, 20_000])
    expected = SpeakerModel.load(WEIGHTS / "speaker").embed(waveform, lengths)
    torch.testing.assert_close(
        torch.from_numpy(serving.own_speaker_encoder(speaker).embed(waveform, lengths)), expected
    )


@pytest.mark.usefixtures("_without_mlflow")
def test_artifacts_in_s3_leave_nothing_here(refs, s3, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    emotion, speaker = (_in_s3(ref, s3) for ref in refs)
    assert serving.own_speaker_encoder(speaker).extractor_digest == speaker.metadata["extractor_digest"]
    assert list(serving.emotion_model(emotion).classes) == emotion.metadata["classes"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_without_mlflow")
def test_a_store_that_does_not_answer_is_asked_again_the_next_time(refs, s3, monkeypatch):
    there, read, retry_policy = _in_s3(refs[1], s3), Lake.read, RetryPolicy(7.0)

    def silent(lake: Lake, path: str) -> bytes:
        monkeypatch.setattr(Lake, "read", read)
        assert lake.retry_policy == retry_policy
        raise TransientError("503")

    monkeypatch.setattr(Lake, "read", silent)
    with pytest.raises(TransientError):
        serving.own_speaker_encoder(there, retry_policy)
    assert serving.own_speaker_encoder(there, retry_policy).dim == 128


def _in_s3(ref: ModelRef, bucket: str) -> ModelRef:
    lake = Lake(f"s3://{bucket}/models/{ref.name}/artifacts")
    for path in Path(ref.uri).rglob("*"):
        if path.is_file():
            lake.write(str(path.relative_to(ref.uri)), path.read_bytes())
    return replace(ref, uri=lake.uri)


def _without(gone: str, ref: ModelRef, folder: Path) -> ModelRef:
    shutil.copytree(ref.uri, folder, ignore=lambda _, names: [name for name in names if name == gone])
    return replace(ref, uri=str(folder))


def test_artifacts_that_are_gone_are_told_of(refs, tmp_path):
    emotion, speaker = refs
    with pytest.raises(ModelError, match=r"expected an emotion model .*config\.json"):
        serving.emotion_model(_without("data", emotion, tmp_path / "emotion"))
    for gone in ("data", "MLmodel"):
        with pytest.raises(ModelError, match=r"speaker/1\+.* cannot be loaded"):
            serving.own_speaker_encoder(_without(gone, speaker, tmp_path / gone))


class _Foreign:
    """Object behind a foreign pyfunc, with a method of the same name and another meaning."""

    def embed(self, audio: object) -> None:
        raise AssertionError("not asked")


def test_somebody_elses_model_has_predict_alone(refs, tmp_path, monkeypatch):
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {loader_module: os, data: data}}\n")
    monkeypatch.setattr(loading, "load", lambda _: SimpleNamespace(get_raw_model=_Foreign))
    foreign = replace(refs[1], uri=str(tmp_path))
    assert serving.own_speaker_encoder(foreign) is None
    with pytest.raises(ModelError, match="none that was pulled: register it again"):
        serving.pretrained_emotion_model(foreign)
