"""Evaluation of speaker encoders: voices of the training set are left out."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from data_contracts.errors import UsageError
from models.data.labelled_speech import Speech, read_speech
from models.data.labels_file import read_labels
from models.speaker.encoder import EncoderConfig, build_network
from models.speaker.evaluation import evaluate_across_emotions, evaluate_by_length, evaluate_speaker
from models.speaker.model import SpeakerModel
from models.speaker.score_norm import Cohort
from models.speaker.trials import Utterances

TINY = EncoderConfig(dim=16, channels=16, merged_channels=24, attention_channels=8, window_s=0.5)


@pytest.fixture
def model() -> SpeakerModel:
    torch.manual_seed(0)
    return SpeakerModel(build_network(TINY), TINY, threshold=0.5, calibration=(1.0, 0.0))


@pytest.mark.usefixtures("_all_is_speech")
def test_voices_of_the_training_are_left_out(model: SpeakerModel, corpus: Path) -> None:
    names = [item.recording_id for item in read_speech(read_labels([corpus]))]
    model.trained_on = frozenset(names[:32:2])  # every voice of one of the two corpora
    result = evaluate_speaker(model, corpus)
    assert (result["n"], result["n_speakers"], result["n_seen_in_training"]) == (32, 4, 32)
    assert result["n_trials"] == 32 * 31 / 2
    assert set(result["by_corpus"]) == {"street"}
    assert json.loads(json.dumps(result)) == result
    model.trained_on = frozenset(names)
    with pytest.raises(UsageError, match="was not trained on"):
        evaluate_speaker(model, corpus)


@pytest.mark.usefixtures("_all_is_speech")
def test_the_report_is_whole(model: SpeakerModel, corpus: Path) -> None:
    model.cohort = Cohort(np.eye(3, 16, dtype=np.float32), nearest=2)
    result = evaluate_speaker(model, corpus)
    assert set(result["by_length"]) == {"1", "2", "4", "8"}
    assert result["by_length"]["2"]["n_trials"] > 0
    assert set(result["across_emotions"]) == {"same_emotion", "different_emotions"}
    assert result["intervals"]["eer"][0] <= result["eer"] <= result["intervals"]["eer"][1]
    assert 0 <= result["open_set"]["detection_and_identification"] <= 1
    assert result["scores"] == "cosine"
    assert result["cosine"]["eer"] == result["eer"]
    model.normalised = True
    against_cohort = evaluate_speaker(model, corpus)
    assert against_cohort["scores"] == "adaptive s-norm"
    assert against_cohort["cosine"] == result["cosine"]
    assert against_cohort["min_dcf"] != result["min_dcf"]
    for name in ("eer", "min_dcf", "top1", "false_accepts", "false_rejects", "calibration_error"):
        assert 0 <= result[name] <= 1


def test_too_little_speech_for_a_length_has_no_figure(model: SpeakerModel, spoken: Callable[..., Speech]) -> None:
    random = np.random.default_rng(0)
    speech = [
        spoken(0.1 * random.standard_normal(24_000).astype(np.float32), speaker=who) for who in ("a", "a", "b", "b")
    ]
    found = evaluate_by_length(model, speech, lengths_s=(1, 8))
    assert found["1"]["n_trials"] == 6
    assert found["8"] is None


def test_an_encoder_that_hears_the_mood_fails_across_emotions_only(model: SpeakerModel) -> None:
    names = np.array(["a", "b"]).repeat(20)
    moods = np.array(["anger", "sadness"] * 20)
    vectors = np.zeros((40, 4), np.float32)
    vectors[np.arange(40), 2 * (names == "b") + (moods == "anger")] = 1.0  # a direction for each voice in each mood
    vectors += 0.01 * np.random.default_rng(0).standard_normal(vectors.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = evaluate_across_emotions(model, Utterances(vectors, names, np.full(40, "lab"), moods))
    assert found is not None
    assert found["same_emotion"]["eer"] == 0
    assert found["different_emotions"]["eer"] > 0.3
    assert found["different_emotions"]["n_same"] == 2 * 10 * 10
    assert evaluate_across_emotions(model, Utterances(vectors, names, np.full(40, "lab"), np.full(40, ""))) is None
