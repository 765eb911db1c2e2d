"""Report of a run: DuckDB's figures, no outside reference, escaped names, and no run fails for it."""

import datetime as dt
import re

import polars as pl
import pytest
from helpers.html_page import Reported
from helpers.lakes import make_lake
from helpers.small_lake import publish_night
from helpers.synthetic_lake import Size, make
from typer.testing import CliRunner

from data_contracts.errors import TransientError, UsageError, ValidationStopped
from data_contracts.lake import Lake
from flows.analytics.runs import find_run
from flows.analytics.sql import query
from flows.cli.main import app
from flows.report.at_run_end import try_write_report
from flows.report.facts import gather_facts
from flows.report.page import render_page
from flows.terminal.progress import reporter
from tasks.run.ledger import Ledger

LAST = dt.date(2026, 11, 21)
HOSTILE = "<script>alert(1)</script>\"'&\u202e.flac"
RUN = "20261122T030000Z-abcdef"
DID = {"seconds": {"extract": 12.5}, "n_published_recordings": 40}
NOW = dt.datetime(2026, 11, 22, 3, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """Twelve days, six of which the newest run is for."""
    made = make_lake(tmp_path_factory.mktemp("report"))
    make(made, Size(1_200, 12, last=LAST, sources=("sales", HOSTILE)))
    publish_night(made, RUN, [], window_from=LAST - dt.timedelta(days=5), window_to=LAST, **DID)
    return made


@pytest.fixture(scope="module")
def report(lake) -> Reported:
    return Reported(render_page(gather_facts(lake, find_run(lake, RUN))))


def test_its_figures_are_duckdbs(lake, report):
    total = query(
        lake, "SELECT emotion, sum(n_utterances) AS n FROM emotion_daily WHERE date > '2026-10-24' GROUP BY 1"
    )
    for row in total.to_pylist():
        assert f"{row['emotion']} {row['n']:,} " in report.text
    top = query(
        lake,
        """SELECT any_value(s.name) AS name, sum(d.speech_s) / 60 AS minutes, sum(d.n_utterances) AS n
           FROM speaker_daily d JOIN speakers s USING (speaker_id) WHERE date > '2026-11-15' GROUP BY d.speaker_id
           ORDER BY minutes DESC, name LIMIT 10""",
    ).to_pylist()
    places = [report.text.index(f"{row['name']} ") for row in top]
    assert places == sorted(places)
    for row in top:
        assert f"{row['minutes']:,.1f} min in {row['n']:,}" in report.text
    reasons = query(lake, "SELECT reason, sum(n) AS n FROM rejects_daily WHERE date > '2026-11-15' GROUP BY 1")
    assert reasons.num_rows
    for row in reasons.to_pylist():
        assert f"{row['reason']} {row['n']:,}" in report.text
    sales = "SELECT sum(n_recordings) AS n FROM quality_daily WHERE date > '2026-11-15' AND source = 'sales'"
    assert f"sales {query(lake, sales)['n'][0].as_py():,} " in report.text
    assert "extract 12.5 s" in report.text


def test_nothing_is_fetched_and_nothing_runs(report):
    assert not report.handlers
    assert not {"script", "iframe", "img", "link", "object", "embed", "base"} & report.tags
    assert all(not re.match(r"\w*:?//", place) for place in report.references), report.references
    assert not re.search(r"url\(|@import", "".join(report.styles))
    assert len(report.ids) == len(set(report.ids))


def test_names_are_only_names(report):
    assert report.text.count("<script>alert(1)</script>\"'&\\u202e.flac") == 1


def test_it_has_a_picture_a_question(report, lake):
    document = render_page(gather_facts(lake, find_run(lake, RUN)))
    assert document.count('<svg role="img" aria-label=') >= 4
    assert "prefers-color-scheme: dark" in "".join(report.styles)


def test_the_newest_run_or_a_file_or_one_by_name(lake, tmp_path):
    told = CliRunner().invoke(app, ["report", "--lake", lake.uri], catch_exceptions=False).stdout.strip()
    assert told == lake.uri_of("validation", f"run={RUN}", "report.html")
    assert RUN in lake.read(f"validation/run={RUN}/report.html").decode()
    other = CliRunner().invoke(app, ["report", RUN, "--lake", lake.uri, "--output", str(tmp_path / "a.html")])
    assert other.stdout.strip() == str(tmp_path / "a.html")
    with pytest.raises(UsageError, match="found 'r0', which the ledger does not know"):
        CliRunner().invoke(app, ["report", "r0", "--lake", lake.uri], catch_exceptions=False)


def test_an_empty_lake_has_no_report(tmp_path):
    with pytest.raises(UsageError, match="expected a run; found none yet"):
        find_run(Lake(str(tmp_path)), None)


def test_who_stopped_says_why(tmp_path):
    lake = make_lake(tmp_path)
    stopped = Ledger(
        RUN, "nightly", NOW, status="stopped", finished=NOW, stage="audit", verdict="stopped", error="E: <b>"
    )
    stopped.validation = lake.uri_of("validation", f"run={RUN}", "part=1", "docs", "index.html")
    failure = {
        "severity": "critical",
        "table": "utterances",
        "expectation": "x",
        "columns": "emotion",
        "found": "3 <i>",
    }
    lake.write_json(f"validation/run={RUN}/part=1/verdict.json", {"verdict": "stopped", "failures": [failure]})
    try_write_report(lake, stopped, ValidationStopped("E"))
    report = Reported(lake.read(f"validation/run={RUN}/report.html").decode())
    assert "In audit: E: <b>" in report.text
    assert "The audit: stopped" in report.text
    assert "critical: utterances: x(emotion): 3 <i>" in report.text
    assert report.references == ["part=1/docs/index.html"]


def test_a_night_without_news_says_so_and_draws_nothing(lake):
    row = find_run(lake, RUN) | {"n_published_recordings": 0}
    report = Reported(render_page(gather_facts(lake, row)))
    assert "Nothing was new: the tables are as they were." in report.text
    assert "svg" not in report.tags, "Altair is not loaded for it"


def test_a_report_that_cannot_be_written_is_told_and_fails_nobody(tmp_path):
    said = []

    class Told:
        def say(self, stage, words):
            said.append((stage, words))

    token = reporter.set(Told())
    lake = make_lake(tmp_path)
    (tmp_path / "lake").write_text("no folder")
    try_write_report(lake, Ledger(RUN, "nightly", NOW))
    reporter.reset(token)
    ((stage, words),) = said
    assert stage == "report"
    assert "none was written" in words


@pytest.mark.parametrize("error", [TransientError("away"), KeyboardInterrupt()])
def test_a_store_that_is_away_is_not_asked_again(tmp_path, error):
    try_write_report(make_lake(tmp_path), Ledger(RUN, "nightly", NOW), error)
    assert not (tmp_path / "lake").exists()


def test_what_it_holds_does_not_grow_with_the_lake(lake):
    """Days: three months; everything else: the first ten."""
    facts = gather_facts(lake, find_run(lake, RUN))
    assert max(frame.height for frame in facts.frames.values()) <= 28 * 8
    assert isinstance(facts.frames["quality"], pl.DataFrame)
