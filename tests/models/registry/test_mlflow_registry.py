"""Versions and aliases of the registry: registration, promotion, rollback, and the shipped model's place."""

from pathlib import Path

import pytest
from helpers.emotion_model import CLASSES, COMPUTED, save_emotion_model
from mlflow import MlflowClient

from data_contracts.errors import ModelError
from models.registry import loading


def test_the_shipped_model_is_registered_on_first_use_and_once(models):
    assert models.versions("emotion") == []
    ref = models.champion("emotion")
    assert models.champion("emotion") == ref
    assert [(item.version, item.aliases) for item in models.versions("emotion")] == [("1", ("champion",))]
    assert (ref.name, ref.version) == ("emotion", "1")
    assert ref.metadata["classes"] == list(CLASSES)
    assert ref.metadata["features"] == {"egemaps": COMPUTED}
    assert ref.label == f"emotion/1+{ref.digest[:8]}"
    assert models.versions("emotion")[0].digest == ref.digest


def test_versions_aliases_and_promotion(models, tmp_path):
    champion = models.champion("emotion")
    second = save_emotion_model(tmp_path / "second", seed=2)
    challenger = models.register("emotion", second, alias="challenger", description="of today", metrics={"uar": 0.5})
    assert challenger.digest != champion.digest
    assert models.champion("emotion") == champion  # registration promotes nothing
    assert models.version("emotion", "challenger") == models.version("emotion", "@challenger") == challenger
    assert models.version("emotion", "2") == challenger
    assert models.promote("emotion", "challenger") == challenger
    assert models.champion("emotion") == challenger
    newest, oldest = models.versions("emotion")
    assert (newest.version, newest.aliases, newest.description) == ("2", ("challenger", "champion"), "of today")
    assert (oldest.version, oldest.aliases) == ("1", ("previous",))
    models.promote("emotion", "2")  # again: the one before stays the one before
    assert models.version("emotion", "previous") == champion
    models.promote("emotion", "previous")
    assert models.champion("emotion") == champion
    assert models.version("emotion", "previous") == challenger
    run = MlflowClient(models.uri).search_runs([models._experiment()], "metrics.uar = 0.5")
    assert len(run) == 1


def test_a_new_version_of_the_features_replaces_the_shipped_champion(models, first):
    """A lake of the version before had its champion for features that nobody computed any more: every night failed."""
    save_emotion_model(first, seed=1, egemaps="beef")
    before = models.champion("emotion")
    save_emotion_model(first, seed=2)
    now = models.champion("emotion")
    assert (now.version, now.metadata["features"]) == ("2", {"egemaps": COMPUTED})
    assert models.champion("emotion") == now
    assert models.version("emotion", "previous") == before
    models.promote("emotion", "1")  # an explicit choice stands
    assert models.champion("emotion") == before


def test_newly_shipped_weights_replace_no_champion_that_still_works(models, first):
    before = models.champion("emotion")
    save_emotion_model(first, seed=2)
    assert models.champion("emotion") == before


def test_a_champion_trained_here_stays(models, first, tmp_path):
    models.champion("emotion")
    own = models.register(
        "emotion",
        save_emotion_model(tmp_path / "own", seed=3, egemaps="beef"),
        alias="champion",
        description="trained here",
    )
    save_emotion_model(first, seed=2)
    assert models.champion("emotion") == own


def test_a_model_just_trained_has_no_card(models, tmp_path):
    """`undertone models train` ended in a FileNotFoundError: the card of the shipped models is written by hand."""
    folder = save_emotion_model(tmp_path / "trained", seed=2)
    (folder / "README.md").unlink()
    assert models.register("emotion", folder, alias="challenger", description="").version == "1"


def test_a_missing_version_is_answered_with_the_known_ones(models, tmp_path):
    with pytest.raises(ModelError, match=r"version '7' of emotion in sqlite:.*; found versions none; "):
        models.version("emotion", "7")
    models.champion("emotion")
    for version in ("7", "challenger"):
        with pytest.raises(ModelError, match=f"version '{version}' of emotion in .*; found versions 1; `undertone"):
            models.version("emotion", version)
        with pytest.raises(ModelError, match=f"expected version '{version}'"):
            models.promote("emotion", version)
    client = MlflowClient(models.uri, models.uri)
    client.delete_registered_model_alias("emotion", "champion")
    assert models.champion("emotion").version == "1", "as after a death before the alias was given"
    models.register("emotion", save_emotion_model(tmp_path / "own", 2), alias="challenger", description="trained here")
    client.delete_registered_model_alias("emotion", "champion")
    with pytest.raises(
        ModelError, match=r"alias champion in .*; found versions 2, 1 .*run `undertone models promote emotion N`"
    ):
        models.champion("emotion")


def test_the_digest_is_of_weights_and_configuration_not_of_the_card(models, first, tmp_path):
    champion = models.champion("emotion")
    (first / "README.md").write_text("Better words.\n")
    assert models.register("emotion", first, alias="challenger", description="").digest == champion.digest
    config = first / "config.json"
    config.write_text(config.read_text().replace('"temperature": 1.0', '"temperature": 2.0'))
    assert models.register("emotion", first, alias="challenger", description="").digest != champion.digest


def test_only_our_names_are_registered(models, first):
    with pytest.raises(ModelError, match="expected one of emotion, speaker; found 'mood'"):
        models.register("mood", first, alias="champion", description="")


def test_the_run_records_data_recipe_and_every_metric(models, tmp_path):
    training = {
        "seed": 7,
        "recipe": {"steps": 3, "speeds": [0.9, 1.1]},
        "manifest": "cafe",
        "code_version": "0.1.0",
        "n_clips": 12,
        "n_speakers": 3,
        "data": {"lab": {"clips": 12, "speakers": 3, "licences": ["CC BY 4.0"]}},
    }
    metrics = {"uar": 0.5, "uar_interval": [0.4, float("nan")], "by_corpus": {"a lab & co": {"n": 3}}, "protocol": "so"}
    folder = save_emotion_model(tmp_path / "second", 2, training=training)
    ref = models.register("emotion", folder, alias="challenger", description="", metrics=metrics)
    (version,) = models.versions("emotion")
    assert version.tags["undertone.licence"] == "CC BY 4.0"
    figures, card = models.metrics_and_card(ref)
    assert figures == {"uar": 0.5, "uar_interval/0": 0.4, "by_corpus/a lab _ co/n": 3.0}
    assert Path(card).read_text() == "A card.\n" == loading.read_card(ref)
    run = MlflowClient(models.uri).search_runs([models._experiment()])[0]
    assert run.data.params == {
        "digest": ref.digest,
        "seed": "7",
        "recipe/steps": "3",
        "recipe/speeds/0": "0.9",
        "recipe/speeds/1": "1.1",
        "manifest": "cafe",
        "code_version": "0.1.0",
        "n_clips": "12",
        "n_speakers": "3",
        "features/egemaps": COMPUTED,
    }


def test_a_second_rollback_undoes_the_first(models, tmp_path):
    first = models.champion("emotion")
    second = models.register("emotion", save_emotion_model(tmp_path / "second", 2), alias="challenger", description="")
    with pytest.raises(ModelError, match="expected version 'previous'"):
        models.rollback("emotion")
    models.promote("emotion", "2")
    assert models.rollback("emotion") == first == models.champion("emotion")
    assert models.rollback("emotion") == second == models.champion("emotion")
    assert models.version("emotion", "previous") == first
