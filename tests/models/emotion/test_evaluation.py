"""Evaluation of emotion models: seen and unseen speakers, found and labelled ones."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data_contracts.errors import UsageError
from models.emotion.dataset import Table, build_table, read_emotional_speech
from models.emotion.evaluation import evaluate_emotion, pipeline_speakers
from models.emotion.fitting import EmotionRecipe, fit
from models.emotion.model import CLASSES, EmotionModel
from models.emotion.speaker_adaptation import NO_SPEAKER
from models.speaker.encoder import EncoderConfig, build_network
from models.speaker.model import SpeakerModel

pytestmark = pytest.mark.usefixtures("_all_is_speech")

FAST = EmotionRecipe(functional_components=20, folds=2)
TINY = EncoderConfig(dim=16, channels=16, merged_channels=24, attention_channels=8, window_s=0.5)


@pytest.fixture(scope="module")
def speaker() -> SpeakerModel:
    torch.manual_seed(0)
    return SpeakerModel(build_network(TINY), TINY, threshold=0.9, calibration=(10.0, -8.0))


@pytest.fixture
def table(corpus: Path) -> Table:
    return build_table(read_emotional_speech([corpus], CLASSES), CLASSES)


@pytest.fixture
def model(table: Table) -> EmotionModel:
    fitted = fit(table, recipe=FAST, seed=0)
    fitted.training = {"recipe": dataclasses.asdict(FAST)}
    return fitted


def test_unheard_speakers_are_judged_by_the_model_itself(corpus, table, model, speaker) -> None:
    result = evaluate_emotion(model, corpus, speaker=speaker)
    assert result["n_seen_in_training"] == 0
    assert "not trained on" in result["protocol"]
    assert "cross_validation" not in result
    guessed = model.scores(table.values[0]).argmax(1).numpy()
    assert result["accuracy"] == pytest.approx(float(np.mean(guessed == table.labels)), abs=1e-4)
    for key in ("uar", "uar_adaptive", "uar_oracle"):
        low, high = result[f"{key}_interval"]
        assert 0 <= low <= result[key] <= high <= 1
    assert set(result["by_corpus"]) == {"lab", "street"}
    assert sum(result["adaptive"]["confusion"]["anger"].values()) == 16


def test_seen_clips_are_never_counted_as_unseen(corpus, table, model, speaker) -> None:
    model.trained_on = frozenset(table.recordings[::2].tolist())  # of every speaker some
    result = evaluate_emotion(model, corpus, speaker=speaker)
    assert result["n_seen_in_training"] == result["n"] == 64
    assert "folds of speakers" in result["protocol"]
    assert set(result["cross_validation"]) == {"lab", "street", "street->lab", "lab->street"}
    assert result["cross_validation"]["lab"]["n_speakers"] == 4
    assert "leave one speaker out" in result["cross_validation"]["lab"]["protocol"]
    assert json.loads(json.dumps(result)) == result


def test_every_class_of_a_corpus_is_evaluated_beside_those_of_the_model(corpus, table, speaker) -> None:
    few = table.with_classes(("anger", "sadness"))
    model = fit(few, recipe=FAST, seed=0)
    model.training = {"recipe": dataclasses.asdict(FAST)}
    model.trained_on = frozenset(few.recordings.tolist())
    result = evaluate_emotion(model, corpus, speaker=speaker)
    assert set(result["per_class"]) == {"anger", "sadness"}
    wide = result["cross_validation"]["lab, 4 classes"]
    assert (wide["n"], set(wide["per_class"])) == (32, set(CLASSES))


def test_speakers_are_found_without_their_labels(corpus, speaker) -> None:
    speech = read_emotional_speech([corpus], CLASSES)
    names = pipeline_speakers(speaker, speech)
    assert len(names) == len(speech)
    assert (names == pipeline_speakers(speaker, speech)).all()
    corpora = np.array([item.clip.corpus for item in speech])
    assert set(names[corpora == "lab"]) & set(names[corpora == "street"]) <= {NO_SPEAKER}
    assert len(set(pipeline_speakers(None, speech))) == len(speech)


def test_a_folder_without_the_models_emotions_is_refused(corpus, model, speaker) -> None:
    model.classes = ("boredom",)
    with pytest.raises(UsageError, match="expected clips labelled with boredom"):
        evaluate_emotion(model, corpus, speaker=speaker)
