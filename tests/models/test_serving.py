"""Our own registered models are read from their artifacts, on a disk or in S3, and MLflow is not asked."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data_contracts.errors import ModelError
from data_contracts.lake import Lake
from data_contracts.records import ModelRef
from models import serving
from models.emotion import EmotionModel
from models.registry import Registry
from models.speaker import SpeakerModel

WEIGHTS = Path(__file__).parents[2] / "models" / "weights"
_WITHOUT_MLFLOW = """
import sys
from data_contracts.records import ModelRef
from models import serving
emotion, speaker = (eval(line, {"ModelRef": ModelRef}) for line in sys.argv[1:])
assert serving.emotion_model(emotion).classes and serving.heard_by(speaker).dim
assert "mlflow" not in sys.modules, "nobody asked it"
"""


@pytest.fixture(autouse=True)
def _as_in_a_new_process():
    for cached in (serving._own, serving._raw, serving._emotion_model):
        cached.cache_clear()


@pytest.fixture(scope="module")
def refs(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelRef, ModelRef]:
    """The shipped models, registered."""
    folder = tmp_path_factory.mktemp("registry")
    models = Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))
    return models.champion("emotion"), models.champion("speaker")


def test_a_worker_does_not_import_mlflow(refs):
    command = [sys.executable, "-c", _WITHOUT_MLFLOW, *map(repr, refs)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])


def test_what_is_served_is_what_was_registered(refs):
    emotion, speaker = refs
    served, own = serving.emotion_model(emotion), EmotionModel.load(WEIGHTS / "emotion")
    assert (served.classes, served.feature_names) == (own.classes, own.feature_names)
    waveform, lengths = 0.1 * torch.randn(2, 32_000), torch.tensor([32_000, 20_000])
    expected = SpeakerModel.load(WEIGHTS / "speaker").embed(waveform, lengths)
    torch.testing.assert_close(torch.from_numpy(serving.heard_by(speaker).embed(waveform, lengths)), expected)


def test_artifacts_in_s3(refs, s3):
    _, speaker = refs
    lake = Lake(f"s3://{s3}/models/speaker/artifacts")
    for path in Path(speaker.uri).rglob("*"):
        if path.is_file():
            lake.write(str(path.relative_to(speaker.uri)), path.read_bytes())
    there = replace(speaker, uri=lake.uri)
    assert serving.heard_by(there).extractor_digest == speaker.metadata["extractor_digest"]


def _without(gone: str, ref: ModelRef, folder: Path) -> ModelRef:
    shutil.copytree(ref.uri, folder, ignore=lambda _, names: [name for name in names if name == gone])
    return replace(ref, uri=str(folder))


def test_artifacts_that_are_gone_are_told_of_in_the_words_of_the_registry(refs, tmp_path):
    emotion, speaker = refs
    with pytest.raises(ModelError, match=r"expected an emotion model .*config\.json"):
        serving.emotion_model(_without("data", emotion, tmp_path / "emotion"))
    for gone in ("data", "MLmodel"):
        with pytest.raises(ModelError, match=r"speaker/1\+.* cannot be loaded"):
            serving.heard_by(_without(gone, speaker, tmp_path / gone))


def test_a_loader_that_is_not_ours_is_left_to_mlflow(tmp_path):
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {loader_module: os, data: data}}\n")
    assert serving._own(str(tmp_path)) is None
