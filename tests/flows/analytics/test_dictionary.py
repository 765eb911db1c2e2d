"""Data dictionary: every column is described, every description has a column, and docs/tables.md agrees."""

import json

import pytest
from helpers.paths import ROOT
from typer.testing import CliRunner

from data_contracts.errors import UsageError
from data_contracts.schema import dictionary, tables
from data_contracts.schema.feature_sets import FEATURE_SETS
from data_contracts.schema.tables import TABLE_KEYS
from features.dsp.gemaps import EGEMAPS_NAMES
from flows.analytics.dictionary import entries, entry
from flows.cli.main import app

NAMES = [each.name for each in entries()]


def _tables(*arguments: str) -> str:
    answer = CliRunner().invoke(app, ["tables", *arguments])
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_every_table_and_set_is_there():
    assert [*TABLE_KEYS, *("features_recordings" if n == "recordings" else n for n in FEATURE_SETS)] == NAMES
    assert dictionary.TABLE_DOCS.keys() == TABLE_KEYS.keys()
    assert dictionary.FEATURE_SET_DOCS.keys() == set(FEATURE_SETS)


@pytest.mark.parametrize("name", NAMES)
def test_every_column_has_a_word_of_its_own(name):
    found = entry(name)
    assert all(column.meaning for column in found.columns)
    assert {column.name for column in found.columns if column.is_key} == set(found.key)
    assert set(found.partition) <= {column.name for column in found.columns}


def test_every_functional_is_told_apart():
    words = [dictionary.column_doc("egemaps", name).meaning for name in EGEMAPS_NAMES]
    assert len(set(words)) == len(EGEMAPS_NAMES) == 88


def test_no_word_is_about_a_column_that_is_gone():
    own = {(table, column) for table, columns in dictionary._BY_TABLE.items() for column in columns}
    held = {(each.name.removeprefix("features_"), column.name) for each in entries() for column in each.columns}
    assert own - held == set()
    assert dictionary._COMMON.keys() - {column for _, column in held} == set()


def test_a_column_that_nobody_described_is_no_silence():
    with pytest.raises(KeyError):
        dictionary.column_doc("utterances", "mood")
    with pytest.raises(KeyError):
        dictionary.column_doc("egemaps", "F4frequency_sma3nz_amean")


def test_the_document_is_what_the_command_prints():
    assert (ROOT / "docs" / "tables.md").read_text() == _tables("--markdown"), "run `make docs`"


def test_for_people_and_for_scripts():
    assert "what a day's recordings of one source are like" in _tables()
    assert "ITU-R BS.1770: median of the usable recordings" in _tables("quality_daily")
    told = json.loads(_tables("--json"))
    assert [each["name"] for each in told] == NAMES
    (utterances,) = json.loads(_tables("utterances", "--json"))
    columns = {column["name"]: column for column in utterances["columns"]}
    assert (columns["start_s"]["kind"], columns["start_s"]["unit"]) == ("float64", "s")
    assert columns["emotion"]["may_be_null"]
    assert columns.keys() == set(tables.utterances_schema(["<class>"], ["arousal", "valence", "dominance"]).names)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match=r"expected one of utterances, .*lld; found 'utterence'"):
        entry("utterence")
