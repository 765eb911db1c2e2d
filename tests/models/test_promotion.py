"""Promotion with made-up metrics, on real folders and speakers."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from data_contracts.records import ModelRef
from features.extraction.config import FeatureConfig
from models import promotion
from models.data import training_set
from models.data.labels_file import read_labels
from models.data.speaker_overlap import overlapping_speakers, recording_ids, write_without_speakers
from models.promotion import judge_challenger

COMPUTED = FeatureConfig().fingerprints()
SPEAKERS = ("ann", "ben", "cid", "dan")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return a folder with two clips a speaker; their content does not matter here."""
    folder = tmp_path / "evaluation"
    folder.mkdir()
    rows = [(f"{name}-{take}.wav", name, "anger") for name in SPEAKERS for take in range(2)]
    for path, *_ in rows:
        (folder / path).write_bytes(path.encode())
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "speaker", "emotion"), *rows])
    return folder


def _model(
    place: Path, version: str, *, name: str = "emotion", hears: tuple[str, ...] = (), **metadata: Any
) -> ModelRef:
    """Return a registered version, as far as a comparison reads it; `hears` are its training files."""
    folder = place / f"{name}-{version}" / "data" / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    training_set.write(folder, hears)
    told = {"features": COMPUTED, "classes": ["anger", "neutral"]} if name == "emotion" else {}
    return ModelRef(name, version, str(folder.parents[1]), f"{version:0>8}", told | metadata)


def _figures(monkeypatch: pytest.MonkeyPatch, **figures: dict[str, Any]) -> list[Path]:
    """Replace each version's evaluation by the given metrics; return the corpora that were used."""
    asked = []

    def evaluate(name: str, folder: Path, corpus: Path, *, voices: Path) -> dict[str, Any]:
        asked.append(corpus)
        speakers = {clip.speaker for clip in read_labels([corpus])}
        return {
            "n": 9,
            "n_speakers": len(speakers),
            "protocol": "so",
            **figures[folder.parents[1].name.replace("-", "")],
        }

    monkeypatch.setattr(promotion, "evaluate", evaluate)
    return asked


def _id(folder: Path, file: str) -> str:
    (clip,) = (clip for clip in read_labels([folder]) if clip.path.name == file)
    return recording_ids([clip])[0]


@pytest.mark.parametrize(
    ("name", "mine", "theirs", "accepted", "metric"),
    [
        ("emotion", {"uar": 0.6}, {"uar": 0.5}, True, "uar"),
        ("emotion", {"uar": 0.5}, {"uar": 0.5}, True, "uar"),
        ("emotion", {"uar": 0.4999}, {"uar": 0.5}, False, "uar"),
        ("emotion", {"uar": 0.4, "uar_adaptive": 0.7}, {"uar": 0.5, "uar_adaptive": 0.6}, True, "uar_adaptive"),
        ("emotion", {"uar": 0.7, "uar_adaptive": 0.5}, {"uar": 0.5, "uar_adaptive": 0.6}, False, "uar_adaptive"),
        ("emotion", {"uar": 0.6, "uar_adaptive": 0.1}, {"uar": 0.5}, True, "uar"),
        ("speaker", {"eer": 0.1}, {"eer": 0.2}, True, "eer"),
        ("speaker", {"eer": 0.2}, {"eer": 0.2}, True, "eer"),
        ("speaker", {"eer": 0.3}, {"eer": 0.2}, False, "eer"),
    ],
)
def test_a_worse_one_is_refused_and_an_equal_one_is_not(
    tmp_path, corpus, monkeypatch, name, mine, theirs, accepted, metric
):
    _figures(monkeypatch, **{f"{name}2": mine, f"{name}1": theirs})
    voices = _model(tmp_path, "9", name="speaker")
    refs = _model(tmp_path, "2", name=name), _model(tmp_path, "1", name=name)
    verdict = judge_challenger(*refs, corpus, voices=voices)
    assert (verdict.accepted, verdict.metric) == (accepted, metric)
    assert ("worse:" in verdict.reason, "no worse:" in verdict.reason) == (True, accepted)
    assert verdict.challenger[metric] == mine[metric]
    assert verdict.champion[metric] == theirs[metric]
    assert verdict.manifest
    assert json.loads(json.dumps(verdict.record())) == verdict.record()


def test_figures_come_with_their_intervals(tmp_path, corpus, monkeypatch):
    mine, theirs = {"uar": 0.5, "uar_interval": [0.4, 0.6]}, {"uar": 0.6, "uar_interval": [0.5, 0.7]}
    _figures(monkeypatch, emotion2=mine, emotion1=theirs)
    verdict = judge_challenger(
        _model(tmp_path, "2"), _model(tmp_path, "1"), corpus, voices=_model(tmp_path, "9", name="speaker")
    )
    assert "worse: UAR 0.500 [0.400, 0.600], emotion/1+00000001 0.600 [0.500, 0.700]" in verdict.reason
    assert verdict.challenger["uar_interval"] == [0.4, 0.6]


def test_a_speaker_on_both_sides_is_refused_or_left_out(tmp_path, corpus, monkeypatch):
    """One model was trained on a recording of ben, the other on one of cid: neither is evaluated on their clips."""
    asked = _figures(monkeypatch, emotion2={"uar": 0.6}, emotion1={"uar": 0.5})
    challenger = _model(tmp_path, "2", hears=(_id(corpus, "ben-1.wav"),))
    champion = _model(tmp_path, "1", hears=(_id(corpus, "cid-0.wav"),))
    voices = _model(tmp_path, "9", name="speaker")
    verdict = judge_challenger(challenger, champion, corpus, voices=voices)
    assert not verdict.accepted
    assert asked == []
    assert "2 of the 4 speakers" in verdict.reason
    assert "emotion/2+00000002 and emotion/1+00000001" in verdict.reason
    assert "(ben, cid)" in verdict.reason
    assert "--unheard to leave them out (2 remain)" in verdict.reason
    verdict = judge_challenger(challenger, champion, corpus, voices=voices, unheard=True)
    assert verdict.accepted
    assert (verdict.n_left_out, verdict.challenger["n_speakers"]) == (2, 2)
    assert len(set(asked)) == 1, "both on the same clips"


def test_other_recordings_of_a_trained_voice_are_known_by_the_label(tmp_path, corpus, monkeypatch):
    """Splitting a corpus by clip shares no recording, but every speaker."""
    _figures(monkeypatch, emotion2={"uar": 0.9}, emotion1={"uar": 0.5})
    challenger = _model(tmp_path, "2")
    training_set.write_speakers(Path(challenger.uri) / "data" / "emotion", SPEAKERS)
    voices = _model(tmp_path, "9", name="speaker")
    for unheard in (False, True):
        verdict = judge_challenger(challenger, _model(tmp_path, f"1{unheard}"), corpus, voices=voices, unheard=unheard)
        assert not verdict.accepted
        assert "4 of the 4 speakers" in verdict.reason
        assert "nobody else is there" in verdict.reason


def test_what_cannot_be_compared_is_refused_with_the_reason(tmp_path, corpus, monkeypatch):
    _figures(monkeypatch, emotion2={"uar": 0.9}, emotion1={"uar": 0.5}, emotion3={"uar": float("nan")})
    challenger, champion = _model(tmp_path, "2"), _model(tmp_path, "1")
    voices = _model(tmp_path, "9", name="speaker")
    foreign = ModelRef("emotion", "4", str(tmp_path / "foreign"), "0" * 8, challenger.metadata)
    (tmp_path / "foreign").mkdir()
    other = _model(tmp_path, "5", classes=["anger", "joy"])
    for refs, folder, words in [
        ((challenger, champion), tmp_path, "expected a list of labelled speech"),
        ((foreign, champion), corpus, "not one of Undertone's own"),
        ((_model(tmp_path, "3"), champion), corpus, "no figure to go by"),
        ((challenger, ModelRef(**{**vars(champion), "metadata": other.metadata})), corpus, r"joy, neutral"),
    ]:
        verdict = judge_challenger(*refs, folder, voices=voices)
        assert not verdict.accepted
        assert words in verdict.reason
    (Path(challenger.uri) / "data" / "emotion" / "trained_on.txt").unlink()
    assert "does not say what it was trained on" in judge_challenger(challenger, champion, corpus, voices=voices).reason


def test_a_champion_that_no_run_could_use_holds_nobody_up(tmp_path, corpus, monkeypatch):
    _figures(monkeypatch, emotion2={"uar": 0.3})
    voices = _model(tmp_path, "9", name="speaker")
    challenger, outdated = _model(tmp_path, "2"), _model(tmp_path, "1", features={"egemaps": "beef"})
    for champion, words in ((outdated, "no longer computed"), (None, "there is no champion")):
        verdict = judge_challenger(challenger, champion, corpus, voices=voices)
        assert verdict.accepted
        assert words in verdict.reason


def test_a_folder_without_some_speakers_keeps_every_other_row_as_it_was(tmp_path, corpus):
    table = corpus / "labels.csv"
    table.write_text(table.read_text().replace("path,", "license,path,").replace("\nann", "\nmine,ann"))
    table.write_text("".join(line if "mine" in line or "path" in line else f",{line}" for line in _lines(table)))
    (tmp_path / "left").mkdir()
    left = write_without_speakers({"ben", "dan"}, corpus, tmp_path / "left")
    before = [clip for clip in read_labels([corpus]) if clip.speaker in {"ann", "cid"}]
    assert read_labels([left]) == before
    assert {clip.licence for clip in before} == {"mine", ""}


def test_who_was_heard_goes_by_speaker_not_by_clip(tmp_path, corpus):
    clips = read_labels([corpus])
    model = tmp_path / "model"
    model.mkdir()
    training_set.write(model, [_id(corpus, "ann-0.wav")])
    assert overlapping_speakers(model, clips, recording_ids(clips)) == {"ann"}
    training_set.write_speakers(model, ["dan"])
    assert overlapping_speakers(model, clips, recording_ids(clips)) == {"ann", "dan"}
    assert "dan" not in (model / "trained_on_speakers.txt").read_text()


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)
