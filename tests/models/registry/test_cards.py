"""Model cards from folders and metrics as training leaves them, and from sparse ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.data import training_set
from models.data.labels_file import read_labels
from models.data.provenance import record
from models.data.speaker_overlap import recording_ids
from models.registry.cards import training_licences, write_card
from models.registry.licences import combined_licence

METRICS = {
    "uar": 0.694,
    "uar_interval": [0.61, 0.75],
    "accuracy": 0.7,
    "ece": 0.029,
    "per_class": {"anger": 0.74, "neutral": 0.6},
    "confusion": {"anger": {"anger": 7, "neutral": 3}, "neutral": {"anger": 4, "neutral": 6}},
    "n": 20,
    "n_speakers": 4,
    "by_corpus": {"lab": {"uar": 0.8, "n": 10, "n_speakers": 2}},
    "adaptive": {"accuracy": 0.72},
    "protocol": "5 folds of speakers",
}
TRAINING = {
    "seed": 3,
    "recipe": {"steps": 400},
    "n_clips": 20,
    "n_speakers": 4,
    "manifest": "cafe",
    "code_version": "0.1.0",
    "data": {"a|b": {"clips": 20, "speakers": 4, "licences": ["CC BY 4.0", "CC BY-NC-SA 4.0"]}},
    "out_of_fold": {"uar": 0.5},
}


def _card(folder: Path, config: dict[str, Any], metrics: dict[str, Any], name: Any = "emotion") -> str:
    (folder / "config.json").write_text(json.dumps(config))
    write_card(folder, name=name, metrics=metrics)
    return (folder / "README.md").read_text()


def test_an_emotion_card_says_all_of_it(tmp_path):
    config = {"classes": ["anger", "neutral"], "features": {"egemaps": "abc", "other": "def"}, "training": TRAINING}
    card = _card(tmp_path, config, METRICS)
    for words in (
        "anger, neutral",
        "20 clips, 4 speakers",
        r"| a\|b | 20 | 4 | CC BY 4.0, CC BY-NC-SA 4.0 |",
        "**Licence: CC BY-NC-SA 4.0.**",
        "Protocol: 5 folds of speakers.",
        "| all | 0.694 [0.610, 0.750] | 0.700 | 0.029 | 20 | 4 |",
        "| lab | 0.800 |  |  | 10 | 2 |",
        "| adaptive |  | 0.720 |",
        "chance is 0.50",
        "Recall: anger 0.74, neutral 0.60.",
        "| anger | 7 | 3 |",
        "## Use, and limits",
        "Not for decisions about a person",
        "| Undertone | 0.1.0 |",
        "egemaps `abc`, other `def`",
        "| manifest of the data | cafe |",
        "| seed | 3 |",
        "| recipe: steps | 400 |",
    ):
        assert words in card


def test_a_speaker_card_says_all_of_it(tmp_path):
    config = {"dim": 128, "threshold": 0.67, "extractor_digest": "159e", "training": {**TRAINING, "held_out": {}}}
    del config["training"]["out_of_fold"]
    metrics = {
        "eer": 0.05,
        "eer_interval": (0.03, 0.08),
        "min_dcf": 0.4,
        "n_trials": 900,
        "by_length": {"2": {"eer": 0.09}},
    }
    card = _card(tmp_path, config, metrics, "speaker")
    for words in (
        "128 numbers",
        "Above 0.670",
        "held out of the training",
        "| all | 0.050 [0.030, 0.080] | 0.400 | 900 |",
        "| by length: 2 | 0.090 |",
        "Not for authentication",
        "encoder `159e`",
    ):
        assert words in card


@pytest.mark.parametrize("name", ["emotion", "speaker"])
def test_what_is_not_known_is_said_to_be_unknown(tmp_path, name):
    card = _card(tmp_path, {}, {}, name)
    assert "**Licence: unknown: as your data's.**" in card
    assert "Nothing was measured." in card
    assert "| manifest of the data | unknown |" in card


def test_the_trainings_own_figures_are_taken_where_no_others_are_given(tmp_path):
    assert "| all | 0.500 |" in _card(tmp_path, {"training": TRAINING}, {})


@pytest.mark.parametrize(
    ("training", "found"),
    [
        ({}, []),
        ({"licences": {"a": ["CC0"], "b": []}}, ["CC0", ""]),
        ({"licences": {"a": "CC0"}}, ["CC0"]),
        ({"data": {"a": {"licences": ["", "CC0"]}}, "licences": {"b": ["MIT"]}}, ["", "CC0"]),
    ],
)
def test_licences_are_listed_by_corpus(training, found):
    assert training_licences(training) == found


@pytest.mark.parametrize(
    ("named", "answer"),
    [
        ([], "unknown: as your data's"),
        (["CC BY 4.0", ""], "unknown: as your data's"),
        (["CC-BY-4.0", "by contract"], "unknown: as your data's (by contract)"),
        (["CC BY 4.0", "ours alone"], "unknown: as your data's (ours alone)"),
        (["free for use (Emo-DB)"], "free for use (Emo-DB)"),
        (["CC0", "CC BY 4.0"], "CC BY 4.0"),
        (["CC BY-SA 4.0", "CC BY 4.0", "CC BY-NC-SA 4.0", "free for use (Emo-DB)"], "CC BY-NC-SA 4.0"),
        (["CC BY-SA 4.0", "CC BY-NC 4.0"], "CC BY-NC 4.0 and CC BY-SA 4.0"),
        (["CC BY-ND 4.0", "MIT"], "CC BY-ND 4.0"),
        (["for research only"], "for research only"),
    ],
)
def test_the_most_restrictive_licence_counts(named, answer):
    assert combined_licence(named) == answer


def test_provenance_is_of_what_was_trained_on(tmp_path, corpus):
    clips = [clip for clip in read_labels([corpus]) if clip.corpus == "lab"]
    (tmp_path / "config.json").write_text(json.dumps({"dim": 3, "training": {"manifest": "the trainer's", "seed": 1}}))
    training_set.write(tmp_path, recording_ids(clips[:8]))
    record(tmp_path, [corpus])
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["dim"] == 3
    assert config["training"]["data"] == {"lab": {"clips": 8, "speakers": 1, "licences": [""]}}
    assert (config["training"]["manifest"], config["training"]["seed"]) == ("the trainer's", 1)
    assert config["training"]["code_version"]
    assert training_set.read_speakers(tmp_path) == {training_set.speaker_hash("lab0")}
