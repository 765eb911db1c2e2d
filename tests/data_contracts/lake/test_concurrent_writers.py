"""Concurrent writers of one lake in S3, by conditional writes. `make test-s3` tests a real server, too."""

import json
import subprocess
import sys
from collections.abc import Callable

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from helpers.paths import ROOT

from data_contracts import lake as lakes

_PREPARED = """
import json, sys
from data_contracts import lake as lakes
lake, index = lakes.open(sys.argv[1]), int(sys.argv[2])
lake.exists("it is reached before the others start")
"""
_CREATE = f"""{_PREPARED}
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps([lake.create(f"locks/{{turn}}", f"process {{index}}".encode()) for turn in range(20)]))
"""
_APPEND = f"""{_PREPARED}
import pyarrow as pa
from deltalake import CommitProperties, write_deltalake
print("ready", flush=True)
sys.stdin.readline()
acknowledged = []
for n in range(8):
    row, patient = pa.table({{"who": [index], "n": [n]}}), CommitProperties(max_commit_retries=100)
    where = dict(storage_options=lake.storage_options, commit_properties=patient)
    write_deltalake(lake.uri_of("analytics", "runs"), row, mode="append", **where)
    acknowledged.append([index, n])
print(json.dumps(acknowledged))
"""


@pytest.fixture
def run_concurrently(s3: str) -> Callable[[str, int], list]:
    """Run a program in several processes that begin together; returns their answers."""

    def run(program: str, number: int) -> list:
        command = [sys.executable, "-W", "ignore", "-c", program, f"s3://{s3}/lake"]
        started = [
            subprocess.Popen([*command, str(index)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for index in range(number)
        ]
        for process in started:
            assert process.stdout.readline() == "ready\n"
        for process in started:
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [process.communicate()[0] for process in started]
        assert [process.returncode for process in started] == [0] * number
        return [json.loads(answer) for answer in answers]

    return run


def test_of_many_processes_at_once_one_creates(s3, run_concurrently):
    won = run_concurrently(_CREATE, 4)
    lake = lakes.open(f"s3://{s3}/lake")
    for turn, answers in enumerate(zip(*won, strict=True)):
        assert sum(answers) == 1, turn
        assert lake.read(f"locks/{turn}") == f"process {answers.index(True)}".encode()


def test_of_many_writers_at_once_no_acknowledged_row_is_lost(s3, run_concurrently):
    """Stores that ignore If-None-Match, and one that was not atomic, lost a tenth of the rows without an error."""
    lake = lakes.open(f"s3://{s3}/lake")
    nobody = pa.schema([("who", pa.int64()), ("n", pa.int64())]).empty_table()  # delta-rs stops some who create at once
    write_deltalake(lake.uri_of("analytics", "runs"), nobody, storage_options=lake.storage_options)
    acknowledged = [tuple(row) for rows in run_concurrently(_APPEND, 3) for row in rows]
    rows = lake.scan("runs").select("who", "n").collect().rows()
    assert sorted(rows) == sorted(acknowledged)
    assert len(rows) == 3 * 8
