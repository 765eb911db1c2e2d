"""Death of Prefect's server during a run: one clear sentence, nothing lost, no repair needed."""

import os
import signal
import time

from helpers.explore_profile import only_exploring
from helpers.prefect_server import prefect_server
from helpers.tables import assert_same_tables

from flows.backfill import backfill

PATIENCE_S = 240
ON_IT = "from prefect.context import refresh_global_settings_context; refresh_global_settings_context()"


@only_exploring
def test_killed_in_mid_run(command, settings, few, few_lake, tmp_path, contents, lake):
    where = ("--corpus", str(few), "--lake", lake.uri, "--cluster", "threads", "--workers", "1")
    with prefect_server(tmp_path) as (environment, server):
        url = environment["PREFECT_API_URL"]
        patience = {"PREFECT_API_URL": url, "PREFECT_CLIENT_MAX_RETRIES": "1"}
        child = command.born("backfill", *where, said=tmp_path / "said.txt", first=ON_IT, **patience)
        child.go()
        _wait_for(lambda: _stage(lake) == "extract")
        os.kill(server.pid, signal.SIGKILL)
        assert child.wait() == 1
    assert f"Failed: Prefect's server at {url} does not answer; nothing is lost" in " ".join(child.said.split())
    assert "Traceback" not in child.said
    assert "EventsWorker" not in child.said, "Prefect's own complaints are for --debug"
    again = backfill(settings=settings | {"corpus": str(few), "lake": lake.uri})
    assert (again.n_listed, again.n_known) == (3, 3), "what was read is not read again"
    assert_same_tables(contents(lake.uri), contents(few_lake[0]))


def test_not_there_from_the_start(command, few, tmp_path):
    patience = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    where = ("--corpus", str(few), "--lake", str(tmp_path / "lake"), "--cluster", "threads")
    child = command.born("backfill", *where, said=tmp_path / "said.txt", first=ON_IT, **patience)
    child.go()
    assert child.wait() == 1
    assert "Prefect's server at http://127.0.0.1:9/api does not answer" in child.said
    assert "Traceback" not in child.said


def _stage(lake):
    for name in lake.names("staging"):
        if lake.exists(f"staging/{name}/alive.json"):
            return lake.read_json(f"staging/{name}/alive.json")["stage"]
    return None


def _wait_for(condition):
    for _ in range(PATIENCE_S * 20):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came")
