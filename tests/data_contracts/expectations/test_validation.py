"""Each expectation fails on the frame that breaks it, by its name and severity, and on no other."""

import datetime as dt
import posixpath
import re
from typing import Any

import pandas as pd
import pytest

from data_contracts.expectations.suites import suites
from data_contracts.expectations.validation import Failure, Verdict, validate
from data_contracts.schema.tables import TABLE_KEYS

CLASSES = ["calm", "angry"]
_DAY = dt.date(2026, 11, 20)
_VERSIONS = {"emotion_model": "emotion/1+aa", "speaker_model": "speaker/1+bb", "feature_version": "f0", "run_id": "r"}


def _row(table: str, n: int) -> dict[str, Any]:
    """A row that keeps every promise; rows of other numbers have other keys."""
    uri, who, day = f"s3://corpus/{n:03}", f"spk_{n:03}", _DAY + dt.timedelta(n)
    rows: dict[str, dict[str, Any]] = {
        "recordings": {
            "uri": uri,
            "etag": "e",
            "date": _DAY,
            "status": "rejected" if n % 2 else "ok",
            "reason": "too_short" if n % 2 else None,
            "bytes": 10,
            "seconds": None if n % 2 else 1.5,
            "clipped_share": None if n % 2 else 0.0,
            "speech_ratio": None if n % 2 else 0.6,
            "bandwidth_hz": None if n % 2 else 4_000.0,
            "truncated_s": None if n % 2 else 0.5,
            "unexplained": 0,
            **_VERSIONS,
        },
        "utterances": {
            "recording_id": "ab",
            "channel": 0,
            "segment": n,
            "start_s": 1.0,
            "end_s": 2.0,
            "speaker_id": "spk_1",
            "score_calm": 0.25,
            "score_angry": 0.75,
            "score_sum": 1.0,
            "emotion": "angry" if n % 2 else None,
            "emotion_reason": None if n % 2 else "too_little_speech",
            "unscored": 0,
            "unidentified": 0,
            "speaker_reason": None,
            "speaker_score": 0.9,
            "recording_s": 2.0,
            "recording_s_rounded": 2.04,
            "date": _DAY,
            **_VERSIONS,
        },
        "speakers": {
            "speaker_id": who,
            "name": who,
            "kind": "found" if n % 2 else "enrolled",
            "extractor": "x",
            "n_utterances": 0,
            "speech_s": 0.0,
        },
        "rejects": {"uri": uri, "etag": "e", "reason": "corrupt", "tries": 1},
        "emotion_daily": {
            "date": day,
            "source": "calls",
            "speaker_kind": "found",
            "emotion": "calm",
            "n_utterances": 1,
        },
        "speaker_daily": {"date": _DAY, "speaker_id": who, "emotion": "calm", "n_utterances": 1},
        "run": {
            "recordings_missing": 0,
            "utterances_missing": 0,
            "daily_utterances_missing": 0,
            "daily_keys_broken": 0,
            "drifted": None,
            "volume_ratio": 1.0,
            "lost_share": 0.0,
        },
    }
    return rows[table]


_NOT_NULL = {
    "recordings": ["uri", "etag", "date", "status", "feature_version", "run_id"],
    "utterances": [
        "recording_id",
        "channel",
        "segment",
        "start_s",
        "end_s",
        *_VERSIONS,
        "date",
        "recording_s",
    ],
    "speakers": ["speaker_id", "name", "kind", "extractor"],
    "rejects": ["uri", "etag", "reason"],
    **{table: list(TABLE_KEYS[table]) for table in ("emotion_daily", "speaker_daily")},
}
_BROKEN: list[tuple[str, str, str, dict[str, Any]]] = [
    *(
        (table, "expect_column_values_to_not_be_null", column, {column: None})
        for table, columns in _NOT_NULL.items()
        for column in columns
    ),
    ("recordings", "expect_column_values_to_be_unique", "uri", {"uri": "s3://corpus/000"}),
    ("recordings", "expect_column_values_to_be_in_set", "status", {"status": "fine"}),
    ("recordings", "expect_column_values_to_be_in_set", "reason", {"reason": "bad luck"}),
    ("recordings", "expect_column_values_to_be_between", "bytes", {"bytes": -1}),
    ("recordings", "expect_column_values_to_be_between", "seconds", {"seconds": -0.1}),
    ("recordings", "expect_column_values_to_be_between", "clipped_share", {"clipped_share": 1.1}),
    ("recordings", "expect_column_values_to_be_between", "speech_ratio", {"speech_ratio": 1.1}),
    ("recordings", "expect_column_values_to_be_between", "bandwidth_hz", {"bandwidth_hz": -1.0}),
    ("recordings", "expect_column_values_to_be_between", "truncated_s", {"truncated_s": -1.0}),
    ("recordings", "expect_column_values_to_be_between", "unexplained", {"unexplained": 1}),
    ("utterances", "expect_compound_columns_to_be_unique", "recording_id, channel, segment", {"segment": 0}),
    ("utterances", "expect_column_values_to_be_between", "start_s", {"start_s": -0.1}),
    ("utterances", "expect_column_pair_values_a_to_be_greater_than_b", "end_s, start_s", {"end_s": 0.0}),
    (
        "utterances",
        "expect_column_pair_values_a_to_be_greater_than_b",
        "recording_s_rounded, end_s",
        {"end_s": 2.05},
    ),
    ("utterances", "expect_column_values_to_be_between", "score_calm", {"score_calm": 1.25}),
    ("utterances", "expect_column_values_to_be_between", "score_angry", {"score_angry": -0.01}),
    ("utterances", "expect_column_values_to_be_between", "score_sum", {"score_sum": 0.99}),
    ("utterances", "expect_column_values_to_be_in_set", "emotion", {"emotion": "joy"}),
    ("utterances", "expect_column_values_to_be_in_set", "emotion_reason", {"emotion_reason": "no idea"}),
    ("utterances", "expect_column_values_to_be_between", "unscored", {"unscored": 1}),
    ("utterances", "expect_column_values_to_be_in_set", "speaker_reason", {"speaker_reason": "no idea"}),
    ("utterances", "expect_column_values_to_be_between", "unidentified", {"unidentified": 1}),
    ("utterances", "expect_column_values_to_be_between", "speaker_score", {"speaker_score": 1.01}),
    ("speakers", "expect_column_values_to_be_unique", "speaker_id", {"speaker_id": "spk_000"}),
    ("speakers", "expect_column_values_to_be_in_set", "kind", {"kind": "guessed"}),
    ("speakers", "expect_column_values_to_be_between", "n_utterances", {"n_utterances": -1}),
    ("speakers", "expect_column_values_to_be_between", "speech_s", {"speech_s": -1.0}),
    ("rejects", "expect_compound_columns_to_be_unique", "uri, etag", {"uri": "s3://corpus/000"}),
    ("rejects", "expect_column_values_to_be_in_set", "reason", {"reason": "bad luck"}),
    ("rejects", "expect_column_values_to_be_between", "tries", {"tries": 0}),
    (
        "emotion_daily",
        "expect_compound_columns_to_be_unique",
        "date, source, speaker_kind, emotion",
        {"date": _DAY},
    ),
    ("emotion_daily", "expect_column_values_to_be_between", "n_utterances", {"n_utterances": 0}),
    (
        "speaker_daily",
        "expect_compound_columns_to_be_unique",
        "date, speaker_id, emotion",
        {"speaker_id": "spk_000"},
    ),
    ("speaker_daily", "expect_column_values_to_be_between", "n_utterances", {"n_utterances": 0}),
    ("run", "expect_column_values_to_be_between", "recordings_missing", {"recordings_missing": 1}),
    ("run", "expect_column_values_to_be_between", "utterances_missing", {"utterances_missing": -1}),
    ("run", "expect_column_values_to_be_between", "daily_utterances_missing", {"daily_utterances_missing": 2}),
    ("run", "expect_column_values_to_be_between", "daily_keys_broken", {"daily_keys_broken": 1}),
    ("run", "expect_column_values_to_be_null", "drifted", {"drifted": "class_mix on 2026-11-20 (psi 2.1 > 0.25)"}),
    ("run", "expect_column_values_to_be_between", "volume_ratio", {"volume_ratio": 0.1}),
    ("run", "expect_column_values_to_be_between", "lost_share", {"lost_share": 0.5}),
]
_WARNINGS = {("run", "volume_ratio"), ("run", "drifted"), ("run", "lost_share")}


TABLES = list(suites(CLASSES))


def _frame(table: str, *broken: dict[str, Any]) -> pd.DataFrame:
    """Two sound rows, and then one for each of `broken`."""
    return pd.DataFrame([_row(table, n) | change for n, change in enumerate([{}, {}, *broken])])


@pytest.fixture(scope="module")
def broken() -> dict[tuple[str, str, str], Failure]:
    """Every promise broken once, each by a row of its own, in one validation (they take a while)."""
    frames = {table: _frame(table, *(change for name, _, _, change in _BROKEN if name == table)) for table in TABLES}
    verdict = validate(frames, CLASSES, run_id="broken")
    assert verdict.word == "stopped"
    return {(failure.table, failure.expectation, failure.columns): failure for failure in verdict.failures}


def test_valid_frames_pass():
    verdict = validate({table: _frame(table) for table in TABLES}, CLASSES, run_id="sound")
    assert verdict.failures == []
    assert verdict.word == "passed"
    assert verdict.n_expectations == sum(map(len, suites(CLASSES).values()))


def test_every_expectation_has_a_frame_that_breaks_it():
    promised = {
        (table, item.expectation_type, _columns(item)) for table, suite in suites(CLASSES).items() for item in suite
    }
    assert promised == {(table, name, columns) for table, name, columns, _ in _BROKEN}


def _columns(item: Any) -> str:
    single = [getattr(item, name, None) for name in ("column", "column_A", "column_B")]
    return ", ".join([name for name in single if name] or item.column_list)


@pytest.mark.parametrize(
    ("table", "expectation", "columns", "change"), _BROKEN, ids=[f"{t}-{c}-{e[7:]}" for t, e, c, _ in _BROKEN]
)
def test_a_broken_row_fails_by_name_and_severity(broken, table, expectation, columns, change):
    failure = broken[table, expectation, columns]
    assert failure.severity == ("warning" if (table, columns) in _WARNINGS else "critical")
    n_rows = 2 + sum(name == table for name, *_ in _BROKEN)
    n_found = 2 if "unique" in expectation else 1
    assert "np." not in failure.found
    if "pair" in expectation:  # an utterance without a start is not shown to end after it, either
        n_found += sum(
            name == table and None in c.values() and next(iter(c)) in columns.split(", ") for name, _, _, c in _BROKEN
        )
    assert failure.found.startswith(f"{n_found} of {n_rows} rows")


def test_a_warning_does_not_stop():
    verdict = validate({"run": _frame("run", {"lost_share": 0.9})}, CLASSES, run_id="warned")
    assert verdict.word == "warned"
    assert verdict.critical == []
    assert [failure.columns for failure in verdict.failures] == ["lost_share"]


def test_a_first_night_has_nothing_to_compare_with():
    frame = pd.DataFrame([_row("run", 0) | {"volume_ratio": None}])
    assert validate({"run": frame}, CLASSES, run_id="first").word == "passed"


def test_a_missing_column_is_a_named_failure():
    verdict = validate({"rejects": _frame("rejects").drop(columns="tries")}, CLASSES, run_id="missing")
    assert [failure.columns for failure in verdict.critical] == ["tries"]
    assert '"tries" in BatchData does not exist' in verdict.critical[0].found


def test_tables_without_rows_or_suites_are_left_out():
    frames = {"rejects": _frame("rejects").iloc[:0], "guests": pd.DataFrame({"n": [1]})}
    assert validate(frames, CLASSES, run_id="empty").n_expectations == 0


def test_data_docs_and_words_name_what_failed():
    verdict = validate({"rejects": _frame("rejects", {"reason": "bad luck"})}, CLASSES, run_id="night-7")
    assert [str(failure) for failure in verdict.critical] == [
        "rejects: expect_column_values_to_be_in_set(reason): 1 of 3 rows; for example bad luck"
    ]
    assert "critical: rejects: expect_column_values_to_be_in_set(reason)" in verdict.docs["index.html"].decode()
    pages = {path: content.decode() for path, content in verdict.docs.items() if path.endswith(".html")}
    page = next(text for path, text in pages.items() if path.startswith("validations/") and "night-7" in path)
    assert "reason" in page
    assert "must belong to this set" in page
    assert "bad luck" in page


def test_data_docs_fetch_nothing_run_nothing_and_lead_to_one_another():
    frames = {"rejects": _frame("rejects"), "speakers": _frame("speakers")}
    docs = {path: page.decode() for path, page in validate(frames, CLASSES, run_id="night-7").docs.items()}
    pages = {path: page for path, page in docs.items() if path.endswith(".html")}
    assert len(pages) == 3
    for path, page in pages.items():
        assert not re.search(r"https?://|<script|\son\w+=", page)
        links = re.findall(r'(?:href|src)="([^"#]+)"', page)
        assert links
        assert {posixpath.normpath(posixpath.join(posixpath.dirname(path), link)) for link in links} <= docs.keys()
    assert all(path in pages["index.html"] for path in pages if path != "index.html")
    assert sum(map(len, docs.values())) < 100_000


def test_only_critical_failures_stop():
    warning, critical = (Failure("run", "e", "c", severity, "f") for severity in ("warning", "critical"))
    assert Verdict(1, [warning]).word == "warned"
    assert Verdict(2, [warning, critical]).word == "stopped"
    assert Verdict(2, [warning, critical]).critical == [critical]


def test_a_run_id_is_not_parsed_as_a_time():
    """Great Expectations looks for a date in it: one run in twenty-five ended in what was an impossible time zone."""
    frames = {"rejects": _frame("rejects")}
    assert validate(frames, CLASSES, run_id="20261126T011638Z-990000").word == "passed"
