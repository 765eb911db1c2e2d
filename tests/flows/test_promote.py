"""Promotion for people and scripts: evaluated, refused, forced and recorded, rolled back."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from helpers.paths import WEIGHTS
from typer.testing import CliRunner

from data_contracts.errors import ModelError, UsageError
from flows import promote as succession
from flows.cli.main import app
from flows.settings import Settings
from models import promotion
from models.data import training_set
from models.emotion.model import EmotionModel
from models.registry.history import read_changes

RUN = CliRunner()
SHIPPED = WEIGHTS / "emotion"
MOODS = ("anger", "happiness", "neutral", "sadness")


@pytest.fixture
def labelled(sample, tmp_path) -> Path:
    """The sample's voices with moods of our own: good for an evaluation to run on, not to learn from."""
    folder = tmp_path / "evaluation"
    folder.mkdir()
    files = sorted(sample.rglob("call-*-voice-[a-f].flac"))
    rows = [(str(path), path.stem[-7:], MOODS[n % 4]) for n, path in enumerate(files)]
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "speaker", "emotion"), *rows])
    return folder


@pytest.fixture
def challenger(own_registry, tmp_path):
    """The shipped emotion model, slightly moved: version 2."""
    model = EmotionModel.load(SHIPPED)
    for member in model.members:
        member.outer.bias.data += torch.tensor([0.5, -0.5, 0.2, 0.0])
    model.save(tmp_path / "second")
    return own_registry.register("emotion", tmp_path / "second", alias="challenger", description="moved")


@pytest.fixture
def judged(monkeypatch):
    """Makes the evaluations say what the test wants: version 1's figure, then version 2's."""

    def says(challenger: float, champion: float) -> None:
        figures = iter([challenger, champion])

        def evaluate(*_, **__):
            return {"uar_adaptive": next(figures), "uar_adaptive_interval": [0.1, 0.9], "n": 30, "n_speakers": 6}

        monkeypatch.setattr(promotion, "evaluate", evaluate)

    return says


def _settings(registry, tmp_path, **more) -> Settings:
    return Settings.load(lake=str(tmp_path / "lake"), registry=registry.uri, **more)


def _invoke(registry, tmp_path, *arguments: str):
    return RUN.invoke(
        app,
        ["models", *arguments, "--lake", str(tmp_path / "lake")],
        env={"UNDERTONE_REGISTRY": registry.uri, "COLUMNS": "200"},
    )


def test_without_an_evaluation_corpus_nobody_is_promoted(own_registry, challenger, tmp_path):
    with pytest.raises(UsageError, match=r"give --corpus DIR or set UNDERTONE_EVALUATION_CORPUS .*, or --force"):
        succession.promote(_settings(own_registry, tmp_path), "emotion", "2")
    assert own_registry.champion("emotion").version == "1"


def test_a_worse_one_is_refused_forced_and_both_are_noted(own_registry, challenger, tmp_path, labelled, judged):
    judged(0.5, 0.6)
    refused = _invoke(own_registry, tmp_path, "promote", "emotion", "2", "--corpus", str(labelled))
    assert isinstance(refused.exception, ModelError)
    assert refused.exception.exit_code == 1
    assert "was not promoted: emotion/2" in str(refused.exception)
    assert "0.500 [0.100, 0.900]" in refused.output
    assert "0.600 [0.100, 0.900]" in refused.output
    assert own_registry.champion("emotion").version == "1"
    assert read_changes(own_registry, "emotion") == []

    judged(0.5, 0.6)
    forced = ("--force", "--reason", "the old one is too slow")
    done = _invoke(own_registry, tmp_path, "promote", "emotion", "2", "--corpus", str(labelled), *forced)
    assert done.exit_code == 0, done.output
    assert "Forced, and noted with the version: the old one is too slow." in done.output
    assert "undertone backfill --from D --to D --stage score" in done.output
    assert own_registry.champion("emotion") == challenger
    assert own_registry.version("emotion", "previous").version == "1"
    newest, _ = own_registry.versions("emotion")
    assert newest.tags["undertone.forced"] == "true"
    assert newest.tags["undertone.reason"] == "the old one is too slow"
    assert newest.tags["undertone.replaced"].startswith("emotion/1+")
    noted = json.loads(newest.tags["undertone.evaluation"])
    assert (noted["accepted"], noted["metric"]) == (False, "uar_adaptive")
    assert (noted["challenger"]["uar_adaptive"], noted["champion"]["uar_adaptive"]) == (0.5, 0.6)
    assert noted["manifest"]
    listed = _invoke(own_registry, tmp_path, "list", "--json")
    (row,) = (row for row in json.loads(listed.output) if (row["model"], row["version"]) == ("emotion", "2"))
    assert row["promoted"].endswith("(forced)")
    assert row["aliases"] == "@challenger, @champion"


def test_an_equal_one_passes_and_goes_back_twice(own_registry, challenger, tmp_path, labelled, judged):
    judged(0.6, 0.6)
    settings = _settings(own_registry, tmp_path, evaluation_corpus=str(labelled))
    first = own_registry.champion("emotion")
    outcome = succession.promote(settings, "emotion", "challenger")
    assert (outcome.promoted, outcome.forced, outcome.before) == (True, False, first)
    assert succession.promote(settings, "emotion", "2").promoted is False, "it is the champion already"
    assert own_registry.version("emotion", "previous") == first

    back = _invoke(own_registry, tmp_path, "rollback", "emotion", "--reason", "a bad night", "--json")
    assert json.loads(back.output) == {"model": "emotion", "champion": first.label, "previous": challenger.label}
    newest, oldest = own_registry.versions("emotion")
    assert newest.tags["undertone.rolled_back_to"] == first.label
    assert oldest.tags["undertone.replaced"] == challenger.label
    assert succession.rollback(settings, "emotion") == (challenger, first)
    assert own_registry.champion("emotion") == challenger
    told = read_changes(own_registry, "emotion")
    assert [change["what"] for change in told] == ["rolled back", "rolled back", "promoted"]
    assert told[1]["reason"] == "a bad night"


def test_a_real_evaluation_compares_both_on_the_same_clips(own_registry, challenger, tmp_path, labelled):
    arguments = ("promote", "emotion", "2", "--corpus", str(labelled), "--force", "--json")
    done = _invoke(own_registry, tmp_path, *arguments)
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert (told["promoted"], told["forced"]) == (True, True)
    for who in ("challenger", "champion"):
        figures = told["evaluation"][who]
        assert figures["n_speakers"] == 6
        assert figures["n"] >= 20
        assert 0 <= figures["uar"] <= 1
        low, high = figures["uar_adaptive_interval"]
        assert low <= figures["uar_adaptive"] <= high
    assert told["evaluation"]["challenger"] != told["evaluation"]["champion"]
    uar = {who: told["evaluation"][who]["uar_adaptive"] for who in ("challenger", "champion")}
    assert told["evaluation"]["accepted"] == (uar["challenger"] >= uar["champion"])


def test_a_speaker_of_the_training_is_refused_by_name(own_registry, tmp_path, labelled):
    model = EmotionModel.load(SHIPPED)
    model.save(tmp_path / "second")
    training_set.write_speakers(tmp_path / "second", ["voice-c"])
    own_registry.register("emotion", tmp_path / "second", alias="challenger", description="")
    settings = _settings(own_registry, tmp_path)
    outcome = succession.promote(settings, "emotion", "2", corpus=str(labelled))
    assert not outcome.promoted
    assert "1 of the 6 speakers" in outcome.verdict.reason
    assert "(voice-c)" in outcome.verdict.reason
    assert own_registry.champion("emotion").version == "1"
    assert succession.promote(settings, "emotion", "2", corpus=str(labelled), unheard=True).promoted


def test_what_no_run_could_use_is_not_promoted_even_by_force(own_registry, tmp_path):
    shutil.copytree(SHIPPED, tmp_path / "old")
    config = json.loads((tmp_path / "old" / "config.json").read_text())
    config["features"]["egemaps"] = "beef"
    (tmp_path / "old" / "config.json").write_text(json.dumps(config))
    own_registry.register("emotion", tmp_path / "old", alias="challenger", description="")
    settings = _settings(own_registry, tmp_path)
    with pytest.raises(ModelError, match="feature set egemaps beef"):
        succession.promote(settings, "emotion", "2", force=True)
    own_registry.promote("emotion", "2")
    own_registry.promote("emotion", "1")
    with pytest.raises(ModelError, match=r"no version to go back to: .*egemaps beef"):
        succession.rollback(settings, "emotion")
    assert own_registry.champion("emotion").version == "1"


def test_nothing_to_go_back_to_is_said(own_registry, tmp_path):
    with pytest.raises(ModelError, match=r"emotion has no version to go back to: .*'previous'"):
        succession.rollback(_settings(own_registry, tmp_path), "emotion")


def test_a_card_is_shown(own_registry, challenger, tmp_path):
    shown = _invoke(own_registry, tmp_path, "show", "emotion", "1")
    assert re.match(r"emotion/1\+\w+ @champion · licence: ", shown.output)
    assert shown.output.strip().endswith((SHIPPED / "README.md").read_text().strip())
    told = json.loads(_invoke(own_registry, tmp_path, "show", "emotion", "1", "--json").output)
    assert told["label"].startswith("emotion/1+")
    assert told["aliases"] == "@champion"
    assert Path(told["card_at"]).read_text() == told["card"]
    assert "has no card" in _invoke(own_registry, tmp_path, "show", "emotion", "2").output


def test_shipped_weights_are_added_by_a_command(own_registry, challenger, tmp_path):
    said = _invoke(own_registry, tmp_path, "add", "shipped").output
    assert f"{own_registry.version('emotion', '1').label} is @champion already. Licence: " in said
    succession.promote(_settings(own_registry, tmp_path), "emotion", "2", force=True)
    answer = json.loads(_invoke(own_registry, tmp_path, "add", "shipped", "--json").output)
    found = [(item["model"], item["version"], item["registered"], item["champion"]) for item in answer]
    assert found == [("emotion", "1", False, False), ("speaker", "1", False, True)]
    shown = _invoke(own_registry, tmp_path, "show", "emotion", "1").output.splitlines()[0]
    assert shown == f"emotion/1+{answer[0]['digest'][:8]} @previous · licence: {answer[0]['licence']}"
