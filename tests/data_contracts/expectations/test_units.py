"""Ranges of the data dictionary equal those of the audit."""

import re

import pytest

from data_contracts.expectations.suites import suites
from data_contracts.schema.dictionary import column_doc
from data_contracts.schema.tables import RECORDINGS, utterances_schema

CLASSES = ("anger", "neutral")
SCHEMAS = {"recordings": RECORDINGS, "utterances": utterances_schema(CLASSES)}
_RANGE = re.compile(r"(-?[\d.]+) to (-?[\d.]+)")


def _audited() -> list[tuple[str, str, float, float]]:
    """Columns of tables that the audit holds between two bounds."""
    return [
        (table, expectation.column, expectation.min_value, expectation.max_value)
        for table, schema in SCHEMAS.items()
        for expectation in suites(CLASSES)[table]
        if type(expectation).__name__ == "ExpectColumnValuesToBeBetween"
        and None not in (expectation.min_value, expectation.max_value)
        and expectation.column in schema.names  # the audit adds columns of its own
    ]


@pytest.mark.parametrize(("table", "column", "low", "high"), _audited(), ids=str)
def test_an_audited_range_equals_the_dictionary_s(table, column, low, high):
    stated = _RANGE.fullmatch(column_doc(table, column).unit)
    assert stated, (
        f"{table}.{column}: expected a unit of the form '{low} to {high}', found {column_doc(table, column).unit!r}"
    )
    assert (float(stated[1]), float(stated[2])) == (low, high)


def test_the_audit_bounds_some_columns():
    assert {("utterances", "speaker_score"), ("utterances", "score_anger"), ("recordings", "clipped_share")} <= {
        (table, column) for table, column, _, _ in _audited()
    }
