"""`undertone runs`: running, dead and failed runs, as text and as JSON."""

import datetime as dt
import json
import subprocess
import sys

from typer.testing import CliRunner

from flows.analytics.runs import recent_runs, terminal_columns
from flows.cli.main import app
from tasks.run.ledger import Ledger
from tasks.run.processes import this_process
from tasks.stages.publish import finish

STARTED = dt.datetime(2026, 11, 22, 3, tzinfo=dt.UTC)


def test_who_died_stands_there_with_the_stage(lake):
    code = "import json; from tasks.run.processes import this_process; print(json.dumps(this_process()))"
    gone = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    _run(lake, "r1", stage="extract", place=gone)
    _run(lake, "r2", stage="score", place=this_process())
    _run(lake, "r3")
    shown = {row["run"]: row["status"] for row in terminal_columns(recent_runs(lake, 20)).to_pylist()}
    assert shown == {"r1": "dead in extract", "r2": "running in score", "r3": "running"}
    table = CliRunner().invoke(app, ["runs", "--lake", lake.uri]).output
    assert "dead in" in table
    told = {
        row["run_id"]: row for row in json.loads(CliRunner().invoke(app, ["runs", "--lake", lake.uri, "--json"]).output)
    }
    assert (told["r1"]["status"], told["r1"]["stage"], told["r1"]["finished"]) == ("dead", "extract", None)
    assert "run the same command again" in told["r1"]["error"]
    assert (told["r2"]["status"], told["r2"]["stage"], told["r2"]["error"]) == ("running", "score", None)


def test_who_failed_says_where_and_why_and_who_published_has_nothing_to_say(lake):
    failed = Ledger("r1", "nightly", STARTED, status="failed", stage="audit", error="LakeError: full")
    failed.save(lake)
    done = Ledger("r2", "nightly", STARTED, stage="publish")
    done.save(lake)
    finish.fn(lake, done)
    lake.write_json(
        "staging/run=r3/alive.json", {"stage": "publish", "place": this_process()}
    )  # killed while it tidied up
    told = {row["run_id"]: row for row in recent_runs(lake, 20).to_pylist()}
    assert told.keys() == {"r1", "r2"}
    assert (told["r1"]["status"], told["r1"]["stage"], told["r1"]["error"]) == ("failed", "audit", "LakeError: full")
    assert (told["r2"]["status"], told["r2"]["stage"], told["r2"]["error"]) == ("done", None, None)


def _run(lake, run_id, *, stage=None, place=None):
    Ledger(run_id, "nightly", STARTED).save(lake)
    if place:
        lake.write_json(f"staging/run={run_id}/alive.json", {"stage": stage, "place": place})
