"""Configurations from settings: every setting has its field, and the defaults agree."""

import pytest
from helpers.runs import model_ref

from data_contracts.errors import UsageError
from features.decode.config import AudioConfig
from flows.settings import Settings, configs
from models.drift.distance import DriftConfig


def test_nothing_set_is_the_configuration_as_it_stands_beside_the_code():
    assert configs.drift_config(Settings.load()) == DriftConfig()
    assert configs.audio_config(Settings.load()) == AudioConfig()


def test_what_is_kept_of_truncated_files():
    wanted = [{}, {"truncated_share": 0.9}, {"strict": True}, {"keep_truncated": True}]
    shares = [configs.audio_config(Settings.load(**settings)).least_share for settings in wanted]
    assert shares == [0.5, 0.9, 1.0, 0.0]
    with pytest.raises(UsageError, match="strict or keep_truncated"):
        configs.audio_config(Settings.load(strict=True, keep_truncated=True))


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("drift_days", "days", 7),
        ("drift_least_days", "least_days", 3),
        ("drift_least_recordings", "least_recordings", 5),
        ("drift_least_utterances", "least_utterances", 50),
        ("drift_psi", "psi", 0.5),
        ("drift_share", "share", 0.2),
        ("drift_cosine", "cosine", 0.3),
    ],
)
def test_a_setting_of_drift_reaches_its_field(setting, field, value, monkeypatch):
    monkeypatch.setenv(f"UNDERTONE_{setting.upper()}", str(value))
    assert getattr(configs.drift_config(Settings.load()), field) == value


@pytest.mark.parametrize(("setting", "value"), [("drift_days", 0), ("drift_psi", 0), ("drift_share", 1.5)])
def test_thresholds_that_mean_nothing_are_refused(setting, value):
    with pytest.raises(UsageError, match=setting):
        Settings.load(**{setting: value})


@pytest.mark.parametrize(
    ("metadata", "prior"),
    [
        ({"classes": ["anger", "neutral"], "features": {}, "has_logit_statistics": True}, "natural"),
        (
            {"classes": ["calm", "upset"], "features": {}, "has_logit_statistics": True},
            "balanced",
        ),  # nothing is neutral
        ({"classes": ["anger", "neutral"], "features": {}}, "balanced"),  # trained before there were statistics
        ({"classes": ["anger", "neutral"]}, None),  # of other people
    ],
)
def test_a_prior_applies_to_models_whose_logits_are_known(metadata, prior):
    assert configs.emotion_prior(Settings.load(), model_ref("emotion", **metadata)) == prior


def test_a_prior_has_one_spelling_or_is_refused(monkeypatch):
    monkeypatch.setenv("UNDERTONE_EMOTION_PRIOR", "neutral=.70, Anger=0.1")
    assert Settings.load().emotion_prior == "anger=0.1,neutral=0.7"
    with pytest.raises(UsageError, match=r"emotion_prior.*expected natural, balanced"):
        Settings.load(emotion_prior="mostly calm")
