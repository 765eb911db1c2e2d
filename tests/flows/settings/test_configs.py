"""Configurations from settings: every setting has its field, and the defaults agree."""

import pytest

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
