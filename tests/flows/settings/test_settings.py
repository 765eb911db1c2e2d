"""Precedence of flags, environment and file, and the refusal of wrong settings."""

from pathlib import Path

import pytest

from data_contracts.errors import UsageError
from flows.settings import Settings
from flows.settings.unknown_names import warn_once


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


def test_lake_and_state_are_not_listed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", f"{tmp_path}/state")
    monkeypatch.setenv("PREFECT_HOME", f"{tmp_path}/prefect")
    corpus = Settings.load(corpus=str(tmp_path), lake="lake").open_corpus()
    assert corpus.own_folders == tuple(f"{tmp_path}/{name}" for name in ("lake", "state/undertone", "prefect"))
    with pytest.raises(UsageError, match="expected the lake in a folder of its own"):
        Settings.load(corpus="lake", lake="./lake/.").open_corpus()


def test_wrong_settings_name_themselves():
    with pytest.raises(UsageError, match=r"cluster.*expected auto"):
        Settings.load(cluster="quantum")
    with pytest.raises(UsageError, match="no_such"):
        Settings.load(no_such=1)


def test_an_unknown_setting_in_the_file_is_an_error_that_names_the_nearest():
    Path("undertone.toml").write_text('chanels = "each"\n')
    with pytest.raises(UsageError, match=r"chanels: there is no such setting; did you mean channels\?"):
        Settings.load()
    Path("undertone.toml").write_text("zzz = 1\n")
    with pytest.raises(UsageError, match=r"zzz: .*docs/settings\.md lists all"):
        Settings.load()


def test_a_variable_that_is_no_setting_is_warned_of_once(monkeypatch, caplog):
    """UNDERTONE_CHANNEL=each was ignored in silence: both voices of a call went into one mix."""
    warn_once.cache_clear()
    monkeypatch.setenv("UNDERTONE_CHANNEL", "each")
    monkeypatch.setenv("undertone_zzz", "1")
    monkeypatch.setenv("UNDERTONE_TEST_S3_ENDPOINT_OF", "the tests")
    monkeypatch.setenv("undertone_readers", "3")
    for _ in range(2):
        assert Settings.load().readers == 3
    assert [record.message for record in caplog.records] == [
        "UNDERTONE_CHANNEL is no setting and is ignored; did you mean UNDERTONE_CHANNELS?",
        "undertone_zzz is no setting and is ignored; docs/settings.md lists all",
    ]


def test_an_empty_variable_means_unset(monkeypatch):
    """Compose files write `UNDERTONE_WORKERS=`: it was no integer."""
    for name in Settings.model_fields:
        monkeypatch.setenv(f"UNDERTONE_{name.upper()}", "")
    assert Settings.load() == Settings()
    assert Settings.load().model_fields_set == set()


def test_the_file_may_begin_with_a_byte_order_mark():
    """Windows' editors write one; it was "Invalid statement (at line 1, column 1)"."""
    Path("undertone.toml").write_bytes(b"\xef\xbb\xbfreaders = 3\r\n")
    assert Settings.load().readers == 3


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ('corpus = "x"\nlayout = "é"\n'.encode("latin-1"), "Latin-1 or another code page in line 2"),
        ('corpus = "x"'.encode("utf-16"), "UTF-16 in line 1"),
        ('corpus = "x"'.encode("utf-16-le"), "UTF-16 in line 1"),
    ],
)
def test_the_file_in_another_encoding_is_told_of(data, found):
    Path("undertone.toml").write_bytes(data)
    with pytest.raises(UsageError, match=rf"undertone\.toml: expected UTF-8; found {found}; save it as UTF-8"):
        Settings.load()


def test_a_file_that_is_no_toml_is_told_of():
    Path("undertone.toml").write_text("corpus = \n")
    with pytest.raises(UsageError, match=r"undertone\.toml is no TOML: .*line 1"):
        Settings.load()
