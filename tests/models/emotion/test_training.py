"""Training of the emotion model on synthetic voices: it learns, repeats, and refuses impossible data."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data_contracts.errors import UsageError
from models.emotion import training as emotion
from models.emotion.fitting import EmotionRecipe
from models.emotion.model import CLASSES, EmotionModel

pytestmark = pytest.mark.usefixtures("_all_is_speech")

FAST_EMOTION = EmotionRecipe(n_copies=1, functional_components=20, folds=4)


def test_emotion_training_learns_what_is_easy(corpus: Path, tmp_path: Path) -> None:
    metrics = emotion.train_emotion([corpus], tmp_path, recipe=FAST_EMOTION)
    model = EmotionModel.load(tmp_path)
    assert metrics["uar"] > 0.8  # a guesser has 0.25
    assert metrics["uar_interval"][0] <= metrics["uar"] <= metrics["uar_interval"][1]
    assert metrics["uar_oracle"] > 0.8
    assert json.loads(json.dumps(metrics)) == metrics
    assert model.training["corpora"] == {"lab": 32, "street": 32}
    assert (model.training["n_speakers"], len(model.training["manifest"])) == (8, 12)
    assert len(model.trained_on) == 64


def test_emotion_training_is_reproducible(corpus: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        torch.rand(3)  # the global generator is somewhere else
        emotion.train_emotion([corpus], tmp_path / name, seed=3, recipe=FAST_EMOTION)
    for file in ("weights.safetensors", "config.json", "trained_on.txt"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_training_without_a_class_is_refused(corpus: Path, tmp_path: Path) -> None:
    rows = (corpus / "labels.csv").read_text().splitlines()
    lines = [row.replace(corpus.name, "") for row in rows if "sadness" not in row]
    folder = tmp_path / "corpus"
    folder.mkdir()
    for row in lines[1:]:
        name = row.split(",")[0]
        (folder / name).symlink_to(corpus / name)
    (folder / "labels.csv").write_text("\n".join(lines))
    with pytest.raises(UsageError, match="found none of sadness"):
        emotion.train_emotion([folder], tmp_path / "out", recipe=FAST_EMOTION)


def test_corpora_may_label_different_emotions_and_call_them_differently(corpus: Path, tmp_path: Path) -> None:
    """`street` knows no sadness and says happy: what it does not label, it does not deny."""
    rows = [
        row for row in (corpus / "labels.csv").read_text().splitlines() if not ("street" in row and "sadness" in row)
    ]
    renamed = [row.replace("happiness,street", "Happy,street") for row in rows]
    folder = tmp_path / "corpus"
    folder.mkdir()
    for row in renamed[1:]:
        (folder / row.split(",")[0]).symlink_to(corpus / row.split(",")[0])
    (folder / "labels.csv").write_text("\n".join(renamed))
    emotion.train_emotion([folder], tmp_path / "out", recipe=FAST_EMOTION)
    model = EmotionModel.load(tmp_path / "out")
    assert model.training["corpora"] == {"lab": 32, "street": 24}
    sad = emotion.build_table(emotion.read_emotional_speech([corpus], ["sadness"]), CLASSES).rows(np.arange(8, 16))
    assert set(sad.corpora) == {"street"}
    guessed = model.logits(model.standardise(sad.values[0]), adapted=False).argmax(1)
    assert (guessed == CLASSES.index("sadness")).float().mean() > 0.5


def test_any_taxonomy_will_do(corpus: Path, tmp_path: Path) -> None:
    metrics = emotion.train_emotion([corpus], tmp_path, classes=("neutral", "anger"), recipe=FAST_EMOTION)
    assert EmotionModel.load(tmp_path).classes == ("neutral", "anger")
    assert (metrics["n"], set(metrics["per_class"])) == (32, {"neutral", "anger"})


def test_nobody_is_on_both_sides_of_a_fold() -> None:
    speakers = np.array(["c", "a", "b", "a", "c", "d"])
    folds = emotion.speaker_folds(speakers, 3)
    assert set(folds) == {0, 1, 2}
    assert all(len(set(folds[speakers == name])) == 1 for name in speakers)
    with pytest.raises(UsageError, match="two speakers"):
        emotion.speaker_folds(np.array(["a", "a"]), 5)


def test_temperature_is_found_again() -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(4_000, len(CLASSES), generator=random) * 2
    labels = torch.multinomial(logits.softmax(1), 1, generator=random).squeeze(1)
    assert emotion.fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.1)
