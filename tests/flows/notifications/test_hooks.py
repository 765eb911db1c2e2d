"""Notification hooks: each run's end is sent once, and a receiver's failure does not fail the run."""

import datetime as dt
import json
import subprocess
import sys
import uuid

import pytest
from helpers.mailboxes import webhook
from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed

from data_contracts.errors import CorpusError, LakeError, UndertoneError, UsageError
from data_contracts.lake import Lake
from flows.analytics.runs import recent_runs
from flows.backfill import backfill
from flows.cli.doctor import examine, try_receivers
from flows.maintain import maintain
from flows.nightly import nightly
from flows.notifications.hooks import NOTIFY_HOOKS, on_crashed
from flows.retry import retry
from flows.train import train
from tasks.run.ledger import Ledger

pytestmark = pytest.mark.usefixtures("_prefect")


@pytest.fixture
def mailbox(monkeypatch):
    with webhook() as opened:
        monkeypatch.setenv("UNDERTONE_NOTIFY", f"json://127.0.0.1:{opened.port}/to-ken")
        yield opened


@pytest.mark.parametrize("job", [nightly, backfill, retry, maintain, train], ids=lambda job: job.name)
def test_every_flow_tells_once_that_it_failed(mailbox, job):
    """Here because of a setting that no run can begin with."""
    wanted = {"name": "emotion", "corpora": ["somewhere"]} if job is train else {}
    with pytest.raises(UsageError):
        job(**wanted, settings={"shard_bytes": -1})
    (told,) = mailbox.taken
    assert told["title"] == f"Undertone: {job.name} failed"
    assert "shard_bytes: Input should be greater than 0" in told["message"]
    assert "undertone runs" in told["message"]


def test_it_says_which_run_and_where_to_look(mailbox, settings, tmp_path):
    away = settings | {"corpus": str(tmp_path / "away")}
    with pytest.raises(CorpusError):
        nightly(date=dt.date(2026, 11, 21), settings=away)
    (told,) = mailbox.taken
    for words in ("there is no corpus at", ", in stage discover", f"undertone runs --lake {settings['lake']}"):
        assert words in told["message"]
    (run,) = [path.name for path in (tmp_path / "lake" / "staging").iterdir()]
    assert run.replace("=", " ") in told["message"]


def test_drift_is_told_of_a_run_that_went_well(mailbox):
    shift = "run: expect_column_values_to_be_null(drifted): 1 of 1 rows; for example class_mix on 2026-11-20 (psi 2.1)"
    other = "run: expect_column_values_to_be_between(volume_ratio): 1 of 1 rows; for example 9"
    assert _finish(_ledger([other])).failures == [other]
    assert mailbox.taken == []
    _finish(_ledger([shift, other, shift], drift=[shift]))
    (told,) = mailbox.taken
    assert (told["title"], told["type"]) == ("Undertone: job found drift", "warning")
    assert told["message"].count("class_mix") == 1
    assert "volume_ratio" not in told["message"]
    assert "s3://lake/validation/run=R/docs/index.html" in told["message"]


@pytest.mark.parametrize(("end", "n_told"), [(SystemExit("ended"), 1), (KeyboardInterrupt(), 0)], ids=repr)
def test_a_crash_is_told_and_an_interrupt_at_the_keyboard_is_not(mailbox, end, n_told):
    with pytest.raises(type(end)):
        _finish(end)
    assert len(mailbox.taken) == n_told


def test_a_worker_tells_of_a_process_that_was_killed(mailbox, monkeypatch):
    """It has no error in its hands, only Prefect's words."""
    monkeypatch.setenv("UNDERTONE_LAKE", "s3://analytics/undertone")
    run = FlowRun(flow_id=uuid.uuid4(), deployment_id=uuid.uuid4(), name="brave-otter")
    on_crashed(nightly, run, Crashed(message="Flow run process exited with non-zero status code -9."))
    (told,) = mailbox.taken
    for words in ("status code -9", "undertone runs --lake s3://analytics/undertone", "brave-otter", str(run.id)):
        assert words in told["message"]


def test_the_next_run_tells_once_of_those_that_were_killed(mailbox, settings):
    lake = Lake(settings["lake"])
    code = "import json; from tasks.run.processes import this_process; print(json.dumps(this_process()))"
    gone = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    now = dt.datetime.now(dt.UTC)
    for ledger in (
        Ledger("r1", "backfill", now, stage="extract"),
        Ledger("r2", "nightly", now),
        Ledger("watched", "nightly", now, is_watched=True),
        Ledger("old", "nightly", now - dt.timedelta(days=30)),
    ):
        ledger.save(lake)
        lake.write_json(f"staging/run={ledger.run_id}/alive.json", {"stage": ledger.stage, "place": gone})
    for _ in range(2):
        nightly(date=dt.date(2031, 1, 1), settings=settings)
    (told,) = mailbox.taken
    assert told["title"] == "Undertone: 2 runs failed"
    assert "Run r1 was killed in stage extract: its process is gone" in told["message"]
    assert "Run r2 was killed: its process is gone" in told["message"]
    assert "watched" not in told["message"]
    assert "Run old" not in told["message"]
    assert f"undertone runs --lake {lake.uri}" in told["message"]


@pytest.mark.usefixtures("mailbox")
def test_a_ledger_that_nobody_can_read_stops_no_run(settings):
    lake = Lake(settings["lake"])
    lake.write("staging/run=r9/run.json", b"{}")
    assert nightly(date=dt.date(2031, 1, 1), settings=settings).status == "done"
    with pytest.raises(LakeError, match=r"expected a run's ledger in .*run=r9/run\.json.*remove that folder"):
        recent_runs(lake, 20)


def test_of_what_is_a_setting(mailbox, monkeypatch):
    monkeypatch.setenv("UNDERTONE_NOTIFY_ON", "stopped,drift")
    with pytest.raises(UndertoneError):
        _finish(UndertoneError("no"))
    assert mailbox.taken == []


def test_passwords_in_addresses_stay_at_home(mailbox):
    with pytest.raises(UndertoneError):
        _finish(UndertoneError("the registry https://me:pass-word@models.example.org/x does not answer"))
    (told,) = mailbox.taken
    assert "https://…@models.example.org/x does not answer" in told["message"]


def test_a_receiver_that_is_down_is_named_and_changes_nothing(monkeypatch, capsys):
    with webhook() as gone:
        monkeypatch.setenv("UNDERTONE_NOTIFY", f"json://127.0.0.1:{gone.port}/to-ken")
    with pytest.raises(UndertoneError, match="as it was"):
        _finish(UndertoneError("as it was"))
    said = capsys.readouterr()
    assert f"JSON at 127.0.0.1:{gone.port} could not be told that job failed" in said.err
    assert "to-ken" not in said.out + said.err


def test_doctor_shows_who_is_told_and_tries_it(mailbox, settings):
    (shown,) = [finding for finding in examine(settings) if finding.what == "notify"]
    assert (shown.state, shown.words) == ("ok", f"of failed, stopped, drift: JSON at 127.0.0.1:{mailbox.port}")
    assert try_receivers({}).words == f"JSON at 127.0.0.1:{mailbox.port} took it"
    assert [document["title"] for document in mailbox.taken] == ["Undertone: a trial"]


def _finish(end):
    """A flow of our own that ends like that, and what it returned."""

    @flow(name="job", **NOTIFY_HOOKS)
    def job():
        if isinstance(end, BaseException):
            raise end
        return end

    return job()


def _ledger(failures, drift=()):
    validation = "s3://lake/validation/run=R/docs/index.html"
    ledger = Ledger("R", "nightly", dt.datetime.now(dt.UTC), validation=validation, verdict="warned")
    ledger.failures, ledger.drift = failures, list(drift)
    return ledger
