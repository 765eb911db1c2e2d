"""Precedence of flags, environment and file, and the refusal of wrong settings."""

from pathlib import Path

import pytest

from data_contracts.errors import UsageError
from flows.settings import Settings


def test_flags_before_environment_before_file(tmp_path, monkeypatch):
    Path("undertone.toml").write_text('lake = "from-file"\ncorpus = "from-file"\nreaders = 3\n')
    monkeypatch.setenv("UNDERTONE_LAKE", "/from-environment")
    monkeypatch.setenv("UNDERTONE_CORPUS", "/from-environment")
    chosen = Settings.load(corpus="/from-flag")
    assert (chosen.corpus, chosen.lake, chosen.readers) == ("/from-flag", "/from-environment", 3)


def test_names_of_channels_come_from_file_or_environment(monkeypatch):
    assert Settings.load().channel_names == ()
    Path("undertone.toml").write_text('channel_names = ["agent", "customer"]\n')
    assert Settings.load().channel_names == ("agent", "customer")
    monkeypatch.setenv("UNDERTONE_CHANNEL_NAMES", "ada, ben")
    assert Settings.load().channel_names == ("ada", "ben")
    with pytest.raises(UsageError, match=r"channel_names: .*expected names such as 'agent,customer'"):
        Settings.load(channel_names=3)


def test_addresses_have_one_spelling(tmp_path):
    Path("undertone.toml").write_text('lake = "x/../lake"\nmanifest = "file:/lists/./a.csv"\n')
    chosen = Settings.load(corpus="./corpus/.", evaluation_corpus="S3://speech/")
    assert (chosen.corpus, chosen.lake) == (f"{tmp_path}/corpus", f"{tmp_path}/lake")
    assert (chosen.manifest, chosen.evaluation_corpus) == ("/lists/a.csv", "s3://speech")
    for name in ("corpus", "lake", "manifest", "evaluation_corpus"):
        with pytest.raises(UsageError, match=rf"{name}: .*did you mean s3://bucket/prefix\?"):
            Settings.load(**{name: "s3:/bucket/prefix"})


def test_wrong_settings_name_themselves():
    with pytest.raises(UsageError, match=r"cluster.*expected auto"):
        Settings.load(cluster="quantum")
    with pytest.raises(UsageError, match="no_such"):
        Settings.load(no_such=1)
