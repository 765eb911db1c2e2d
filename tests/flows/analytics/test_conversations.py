"""`undertone models evaluate conversations`: published utterances against a reference, on a lake of four recordings."""

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake
from helpers.lakes import make_lake
from typer.testing import CliRunner

from data_contracts.errors import UsageError
from data_contracts.lake import Lake
from data_contracts.lake.snapshot import move_pointer, newest_versions
from flows.analytics.conversations import evaluate_conversations
from flows.cli.main import app

DAYS = [dt.date(2026, 11, 20), dt.date(2026, 11, 21)]
RECORDINGS = [  # uri, recording_id, status, reason, date
    ("/calls/2026/11/20/one.flac", "r1", "ok", None, DAYS[0]),
    ("/calls/2026/11/21/two.wav", "r2", "ok", None, DAYS[1]),
    ("/calls/2026/11/21/torn.wav", None, "rejected", "truncated", DAYS[1]),
    ("/calls/2026/11/21/more.wav", "r4", "ok", None, DAYS[1]),
]
UTTERANCES = [  # recording_id, start_s, end_s, speaker_id
    ("r1", 0.0, 4.0, "spk_a"),
    ("r1", 5.0, 9.0, "spk_b"),
    ("r2", 0.0, 4.0, "spk_b"),
    ("r2", 4.0, 8.0, "spk_c"),
    ("r2", 8.0, 9.0, None),
    ("r4", 0.0, 9.0, "spk_d"),
]
REFERENCE = """file,start_s,end_s,speaker
one.flac,0,4,ada
one.flac,5,10,ben
2026/11/21/two.wav,0,4,ada
2026/11/21/two.wav,4,8,cid
2026/11/21/two.wav,8,9,cid
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    made = make_lake(tmp_path_factory.mktemp("conversations"))
    tables = {
        "recordings": pl.DataFrame(RECORDINGS, ["uri", "recording_id", "status", "reason", "date"], orient="row"),
        "utterances": pl.DataFrame(UTTERANCES, ["recording_id", "start_s", "end_s", "speaker_id"], orient="row"),
    }
    for name, rows in tables.items():
        write_deltalake(made.uri_of("analytics", name), rows.to_arrow())
    move_pointer(made, "run-1", newest_versions(made))
    return made


@pytest.fixture
def reference(tmp_path) -> Path:
    path = tmp_path / "reference.csv"
    path.write_text(REFERENCE)
    return path


def test_rates_speakers_purity_and_coverage(lake, reference) -> None:
    """Of 18 s one is missed and one has no name; over all, spk_b is ada or ben, and not both."""
    found = evaluate_conversations(lake, reference)
    assert found["reference_s"] == 18
    assert {part: found[part] for part in ("der", "miss", "false_alarm", "confusion")} == {
        "der": round(2 / 18, 4),
        "miss": round(1 / 18, 4),
        "false_alarm": 0,
        "confusion": round(1 / 18, 4),
    }
    assert found["one_mapping"]["confusion"] == round(5 / 18, 4)
    assert (found["speakers_true"], found["speakers_found"], found["recordings_counted_right"]) == (3, 3, 2)
    assert (found["purity"], found["coverage"]) == (round(12 / 16, 4), round(12 / 16, 4))
    assert found["unknown_s"] == 1
    assert found["with_collar"]["miss"] == round(0.75 / 15.5, 4)  # an edge takes a quarter of a second on either side
    assert [(each["file"], each["der"]) for each in found["by_recording"]] == [
        ("2026/11/21/two.wav", round(1 / 9, 4)),
        ("one.flac", round(1 / 9, 4)),
    ]
    assert found["without_reference"] == ["/calls/2026/11/21/more.wav"]


def test_what_was_not_published_is_missed_and_named(lake, reference) -> None:
    reference.write_text(f"{REFERENCE}torn.wav,0,3,ada\nnowhere.wav,1,4,eve\n")
    found = evaluate_conversations(lake, reference)
    assert (found["reference_s"], found["miss"], found["speakers_true"]) == (24, round(7 / 24, 4), 4)
    assert {each["file"]: each["why"] for each in found["not_published"]} == {
        "nowhere.wav": "no recording of that name is in the table",
        "torn.wav": "rejected: truncated",
    }


def test_dates_leave_out_what_lies_outside(lake, reference) -> None:
    found = evaluate_conversations(lake, reference, dates=[DAYS[0]])
    assert (found["recordings"], found["reference_s"], found["outside_dates"]) == (1, 9, ["2026/11/21/two.wav"])
    assert found["without_reference"] == []


def test_rttm_names_files_without_their_extension(lake, tmp_path) -> None:
    path = tmp_path / "reference.rttm"
    path.write_text("SPEAKER one 1 0 4 <NA> <NA> ada <NA> <NA>\nSPEAKER one 1 5 4 <NA> <NA> ben <NA> <NA>\n")
    found = evaluate_conversations(lake, path)
    assert (found["der"], found["not_published"]) == (0, [])


def test_names_that_fit_nothing_or_several(lake, tmp_path) -> None:
    path = tmp_path / "reference.csv"
    path.write_text("file,start_s,end_s,speaker\nelsewhere.wav,0,4,ada\n")
    with pytest.raises(UsageError, match="found none of its 1 files among 4"):
        evaluate_conversations(lake, path)


def test_the_command(lake, reference) -> None:
    arguments = ["models", "evaluate", "conversations", "--reference", str(reference), "--lake", lake.uri]
    answer = CliRunner().invoke(app, [*arguments, "--json"])
    assert json.loads(answer.stdout) == evaluate_conversations(lake, reference)
    table = CliRunner().invoke(app, arguments)
    assert "11.1%" in table.stdout
    assert "3 found, 3 true" in table.stdout
    assert "Published without a reference, left out: 1, /calls/2026/11/21/more.wav" in table.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["conversations"], "expected --reference FILE"),
        (["conversations", "--reference", "x.csv", "--corpus", "."], "expected no --corpus here"),
        (["speaker", "--corpus", ".", "--reference", "x.csv"], "expected no --reference here"),
        (["speaker"], "expected --corpus DIR"),
    ],
)
def test_flags_of_the_other_kind_are_refused(arguments, words) -> None:
    answer = CliRunner().invoke(app, ["models", "evaluate", *arguments])
    assert isinstance(answer.exception, UsageError)
    assert words in str(answer.exception)
