"""Queries of the dashboard's views on a local lake and over S3: the same, and equal to the tables."""

from collections.abc import Iterator

import polars as pl
import pytest
from helpers.lakes import make_lake
from helpers.synthetic_lake import MODELS, Size, make
from polars.testing import assert_frame_equal
from starlette.testclient import TestClient

from data_contracts.lake import Lake
from features.segmentation.segments import Span
from flows.analytics.sql import query
from flows.dashboard import audio, comparison, filters, overview, quality, recordings, speakers
from flows.dashboard.server import make_app
from flows.settings import Settings
from flows.workers.embedded_s3 import embedded_s3

SIZE = Size(300, 4, n_speakers=6)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = make_lake(tmp_path_factory.mktemp("board"))
    make(made, SIZE)
    return made


@pytest.fixture
def on_s3() -> Iterator[Lake]:
    with embedded_s3("lake"):
        made = Lake("s3://lake/undertone")
        make(made, SIZE)
        yield made


def _query_all(lake: Lake) -> dict[str, pl.DataFrame]:
    chosen = filters.all_choices(lake)
    assert chosen is not None
    most, found = speakers.top_speakers(lake, chosen), recordings.search(lake, chosen, "CALL-00000")
    newer, older = comparison.scored_versions(lake)
    agreement = comparison.compare(lake, chosen, older, newer)
    row = found.row(0, named=True)
    recording = recordings.read_recording(lake, row["recording_id"], row["date"])
    assert recording is not None
    return {
        "figures": pl.DataFrame([overview.figures(lake, chosen)]),
        "hours": overview.hours(lake, chosen),
        "emotions": overview.emotions(lake, chosen),
        "runs": overview.runs(lake).select("run_id", "status", "rtfx"),
        "most": most,
        "by speaker": speakers.emotions(lake, chosen, most),
        "voices": speakers.voice_map(lake, chosen),
        "found": found,
        "within": recording.within(Span(0.0, 10.0)),
        "rejects": quality.rejects(lake, chosen),
        "daily": quality.daily(lake, chosen),
        "drift": quality.drift(lake, chosen),
        "pairs": agreement.pairs,
        "differ": agreement.differ,
    }


def test_the_same_on_a_local_lake_and_over_s3(lake, on_s3):
    local, remote = _query_all(lake), _query_all(on_s3)
    for name, frame in local.items():
        assert frame.height, name
        assert_frame_equal(frame, remote[name])


def test_filters_narrow_to_what_the_tables_say(lake):
    everything = filters.all_choices(lake)
    one = filters.Filters(everything.first, everything.first, ("support",), ("found",))
    sql = f"""SELECT count(*) AS n FROM utterances u JOIN recordings r USING (recording_id)
        WHERE u.date = '{one.first}' AND source = 'support' AND NOT speaker_known AND emotion IS NOT NULL"""
    figures = overview.figures(lake, one)
    assert figures.n_utterances == query(lake, sql).to_pylist()[0]["n"] > 0
    assert figures.n_rejected == 0
    assert set(overview.hours(lake, one)["source"]) == {"support"}


def test_two_models_are_compared_on_the_same_utterances(lake):
    newer, older = comparison.scored_versions(lake)
    assert (older.emotion_model, newer.emotion_model) == MODELS
    found = comparison.compare(lake, filters.all_choices(lake), older, newer)
    assert found.n == query(lake, "SELECT count(*) AS n FROM utterances WHERE emotion IS NOT NULL").to_pylist()[0]["n"]
    assert 0.7 < found.n_same / found.n < 0.9
    assert found.pairs["n"].sum() == found.n
    assert found.differ.height == 10


def test_nothing_can_be_chosen_in_an_empty_lake(tmp_path):
    assert filters.all_choices(make_lake(tmp_path)) is None


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 400), ({"host": "evil.example"}, 403), ({"origin": "http://evil.example"}, 403)]
)
def test_only_this_machines_own_page_may_ask(lake, headers, status):
    with TestClient(make_app(Settings(lake=lake.uri)), base_url="http://127.0.0.1:8000") as client:
        assert client.get("/audio", headers=headers).status_code == status


def test_a_stretch_of_a_long_recording_is_whole_windows():
    assert audio.stretch(130.0, 3) == Span(128.0, 130.0)
    assert audio.stretch(130.0, 9) == Span(128.0, 130.0)
