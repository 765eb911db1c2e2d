"""The demo's last table: what is true of its sample beside what was found."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake
from helpers.explore_profile import only_exploring
from helpers.lakes import make_lake
from typer.testing import CliRunner

from data_contracts.lake import Lake
from flows.cli.demo_truth import compare_with_truth
from flows.cli.main import app

NIGHT = "2026/11/19"
REFERENCE = f"""file,start_s,end_s,speaker
{NIGHT}/a-1.ogg,0.0,4.0,ada
{NIGHT}/a-1-copy.ogg,0.0,4.0,ada
{NIGHT}/b-1.ogg,0.0,4.0,ben
{NIGHT}/talk.ogg,0.0,9.0,carl
{NIGHT}/talk.ogg,5.0,8.0,dora
"""


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    corpus = tmp_path / "sample" / "corpus" / NIGHT
    corpus.mkdir(parents=True)
    for name in ("a-1.ogg", "a-1-copy.ogg", "b-1.ogg", "talk.ogg", "empty.wav"):
        (corpus / name).touch()
    (tmp_path / "sample" / "reference.csv").write_text(REFERENCE)
    return tmp_path / "sample"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with a recording of each file of the sample, and one from elsewhere."""
    ids = {"a-1.ogg": "a", "a-1-copy.ogg": "a", "b-1.ogg": "b", "talk.ogg": "t", "empty.wav": "e", "other.wav": "o"}
    uris = {name: f"s3://corpus/{NIGHT}/{name}" for name in ids}
    said = [  # recording, start, end, who, emotion, neutral
        *(("a", 0.0, 2.0, "spk_1", "neutral", 0.9), ("a", 2.0, 4.0, None, "anger", 0.2)),
        *(("b", 0.0, 3.0, "spk_2", "neutral", 0.8), ("b", 3.0, 4.0, "spk_1", None, 0.5)),
        *(("t", 0.0, 9.0, "spk_3", "anger", 0.1), ("o", 0.0, 9.0, "spk_4", "anger", 0.1)),
    ]
    names = ("recording_id", "start_s", "end_s", "speaker_id", "emotion", "score_neutral")
    spoken = pl.DataFrame(said, schema=names, orient="row", infer_schema_length=None)
    lake = make_lake(tmp_path / "lake")
    tables = {
        "recordings": pl.DataFrame({"uri": uris.values(), "recording_id": ids.values()}).with_columns(
            status=pl.lit("ok"), reason=pl.lit(None, pl.String), date=dt.date(2026, 11, 19)
        ),
        "utterances": spoken.with_columns(score_anger=1 - pl.col("score_neutral"), date=dt.date(2026, 11, 19)),
        "rejects": pl.DataFrame({"uri": [uris["empty.wav"], uris["other.wav"]], "reason": ["empty", "not_audio"]}),
    }
    for name, rows in tables.items():
        write_deltalake(f"{lake.uri}/analytics/{name}", rows.to_arrow())
    return lake


def test_what_is_true_stands_beside_what_was_found(lake, sample):
    answers = [tuple(row.values()) for row in compare_with_truth(lake, sample).to_pylist()]
    assert answers == [
        ("readers", "2", "2 (purity 0.83, coverage 0.62)"),
        ("their calm speech", "neutral", "50% of 4 utterances"),
        ("confidence where it is not", "low", "0.80, the mean of 1"),
        ("voices in each meeting", "2", "1"),
        ("diarization error there", "0%", "25%, overlaps counted"),
        ("files that cannot be used", "1", "1 rejected"),
        ("copies", "1", "1 counted once"),
    ]


@only_exploring
def test_the_demo_ends_with_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(app, ["demo"], catch_exceptions=False)
    assert answer.exit_code == 0
    last = answer.output.partition("What is true, and what was found")[2]
    assert "readers" in last
    assert "3 rejected" in last
    assert "1 counted once" in last
    assert (tmp_path / "undertone.toml").exists()
