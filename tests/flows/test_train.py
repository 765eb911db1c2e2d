"""Training by the deployment and the command: a challenger with card, figures and provenance."""

import csv
import functools
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_contracts.errors import UsageError
from flows.cli.main import app
from flows.train import train
from models.data import training_set
from models.emotion import training as train_emotion
from models.emotion.fitting import EmotionRecipe
from models.registry import loading
from models.registry.mlflow_registry import Registry

pytestmark = pytest.mark.usefixtures("_prefect")
MOODS = ("anger", "happiness", "neutral", "sadness")
FAST = EmotionRecipe(functional_components=8, folds=2)


@pytest.fixture
def labelled(sample, tmp_path, monkeypatch) -> Path:
    """The sample's voices with moods of our own; training on them takes seconds, and learns nothing."""
    quick = functools.partial(train_emotion.train_emotion, recipe=FAST)
    monkeypatch.setattr(train_emotion, "train_emotion", quick)
    folder = tmp_path / "acted"
    folder.mkdir()
    files = sorted(sample.rglob("call-*-voice-[a-f].flac"))
    rows = [(str(path), path.stem[-7:], MOODS[n % 4], "CC BY 4.0") for n, path in enumerate(files)]
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "speaker", "emotion", "license"), *rows])
    return folder


def test_a_training_leaves_a_challenger_with_its_card(tmp_path, labelled):
    lake = str(tmp_path / "lake")
    ref = train("emotion", [str(labelled)], seed=3, settings={"lake": lake})
    registry = Registry(f"sqlite:///{lake}/registry/mlflow.db")
    newest, oldest = registry.versions("emotion")
    assert (newest.version, newest.aliases) == ("2", ("challenger",))
    assert (oldest.aliases, oldest.description) == (("champion",), "shipped with Undertone")
    assert newest.tags["undertone.licence"] == "CC BY 4.0"
    card = loading.read_card(ref)
    assert re.search(r"^\| acted \| 2\d \| 6 \| CC BY 4.0 \|$", card, flags=re.M)
    assert "## Measured" in card
    assert "UAR" in card
    training = json.loads((loading.weights_folder(ref) / "config.json").read_text())["training"]
    assert f"| manifest of the data | {training['manifest']} |" in card
    assert training_set.speaker_hash("voice-a") in training_set.read_speakers(loading.weights_folder(ref))
    figures, place = registry.metrics_and_card(ref)
    assert {"uar", "uar_interval/0", "confusion/anger/anger", "per_class/sadness"} <= figures.keys()
    assert Path(place).read_text() == card


def test_the_command_prints_figures_and_where_the_card_is(tmp_path, labelled):
    arguments = ["models", "train", "emotion", "--corpus", str(labelled), "--lake", str(tmp_path / "lake")]
    said = CliRunner().invoke(app, [*arguments, "--json"])
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout.splitlines()[-1])
    assert (told["model"], told["version"]) == ("emotion", "2")
    assert 0 <= told["metrics"]["uar"] <= 1
    assert Path(told["card"]).read_text().startswith("# Emotion")


def test_other_classes_are_trained_by_any_of_their_names(tmp_path, labelled):
    lake = str(tmp_path / "lake")
    ref = train("emotion", [str(labelled)], classes=["Angry", "sad", "neutral"], settings={"lake": lake})
    assert ref.metadata["classes"] == ["anger", "sadness", "neutral"]
    for name, classes in (("emotion", ["anger"]), ("speaker", ["anger", "sadness"])):
        with pytest.raises(UsageError, match="expected two classes or more of a model of emotion"):
            train(name, [str(labelled)], classes=classes, settings={"lake": lake})
    with pytest.raises(UsageError, match="expected --teachers with a speaker model alone"):
        train("emotion", [str(labelled)], teachers=str(tmp_path), settings={"lake": lake})
    with pytest.raises(UsageError, match="expected wespeaker_resnet34_lm"):
        train("speaker", [str(labelled)], teachers=str(tmp_path), settings={"lake": lake})
