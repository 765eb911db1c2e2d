"""Cost of a recording in runs of a thousand to two hundred thousand: seconds, memory, requests, messages.

    .venv/bin/python tests/bench/scale.py [--objects 1000,10000,50000,200000] [--a-date 5000] [--clips DIR]

Tiny clips (spoken digits of ../shared/corpora/fsdd where it is, else the sample's first half seconds), each with bytes
of its own, are served over the S3 protocol on loopback by clips_server.py; the lake lies in moto's server behind it.
`undertone backfill` runs over all of them in processes of its own: the driver and a worker a core. For each size a lake
of its own. Printed are the ledger's seconds by stage and a thousand recordings, CPU seconds of all processes, the
driver's resident memory while it lists and plans and afterwards, requests by stage, the task runs that Prefect was told
of, and the messages that the driver (Dask's client and scheduler) sent and received for each shard.
"""

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import psutil
from corpora import ROOT, SAMPLE, SHARED
from end_to_end import STAGES
from tables import print_head, print_machine, print_row

from flows.workers.embedded_s3 import embedded_s3

SERVER = Path(__file__).with_name("clips_server.py")
MB = 1e6

# Dask's scheduler lives in the driver: what it says to its workers and to the client goes through here.
_COUNTING = """
import atexit, sys
from collections import Counter
from distributed.comm import tcp
said = Counter()
write, read = tcp.TCP.write, tcp.TCP.read
async def counted_write(self, msg, *arguments, **options):
    n = await write(self, msg, *arguments, **options)
    said["sent"] += len(msg) if isinstance(msg, (list, tuple)) else 1
    said["bytes"] += n or 0
    return n
async def counted_read(self, *arguments, **options):
    msg = await read(self, *arguments, **options)
    said["received"] += len(msg) if isinstance(msg, (list, tuple)) else 1
    return msg
tcp.TCP.write, tcp.TCP.read = counted_write, counted_read
import json
atexit.register(lambda: print("DASK " + json.dumps(said), file=sys.stderr))
from flows.__main__ import run
run()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", default="1000,10000,50000,200000")
    parser.add_argument("--a-date", type=int, default=5_000)
    parser.add_argument("--clips", type=Path, default=SHARED / "fsdd" if SHARED.is_dir() else None)
    options = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        clips = digits(options.clips, Path(folder))
        print(f"data: {len(clips)} clips of {options.clips or 'the sample'}, {options.a_date:,} objects a date\n")
        rows = []
        for n in map(int, options.objects.split(",")):
            rows.append(measured(n, options.a_date, clips, Path(folder)))
            print(f"{n:,} objects: {rows[-1]['seconds']:.0f} s\n{json.dumps(rows[-1])}", file=sys.stderr, flush=True)
    table(
        "seconds for a thousand recordings",
        rows,
        [(stage, lambda row, s=stage: row["by_stage"][s]) for stage in STAGES],
    )
    table("the whole", rows, WHOLE)
    table("requests for a thousand recordings", rows, requests_of(rows))


def digits(folder: Path | None, work: Path) -> list[Path]:
    """Clips that hold speech, a few hundred of them."""
    if folder is not None:
        return sorted(folder.rglob("*.flac"))[::2]
    import soundfile as sf

    clips = []
    for path in sorted(SAMPLE.rglob("*voice*.flac")):
        samples, rate = sf.read(path, frames=round(0.8 * sf.info(path).samplerate), dtype="int16")
        clips.append(work / f"{path.stem}.wav")
        sf.write(clips[-1], samples, rate)
    return clips


def measured(n: int, a_date: int, clips: list[Path], work: Path) -> dict:
    home = work / f"home-{n}"
    with embedded_s3("lake") as lake, serving(lake, n, a_date, clips) as endpoint:
        environment = os.environ | {
            "AWS_ENDPOINT_URL": endpoint,
            "UNDERTONE_CORPUS": "s3://calls",
            "UNDERTONE_LAKE": "s3://lake/undertone",
            "XDG_STATE_HOME": str(home),
            "PREFECT_HOME": str(home / "prefect"),
        }
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", _COUNTING, "backfill", "--json"]
        with subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            watch = Watch(process.pid, endpoint)
            watch.start()
            answer, complaint = process.communicate()
            watch.done.set()
            watch.join()
        if process.returncode:
            sys.exit(f"backfill over {n} objects ended with {process.returncode}:\n{complaint[-3000:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seen = json.load(urllib.request.urlopen(f"{endpoint}/__seen"))["seen"]
    row = json.loads(answer)
    assert row["n_published_recordings"] == n, row
    said = json.loads(next(line for line in complaint.splitlines() if line.startswith("DASK "))[5:])
    seconds = sum(row[f"{stage}_s"] or 0.0 for stage in STAGES)
    return {
        "n": n,
        "seconds": seconds,
        "by_stage": {stage: 1e3 * (row[f"{stage}_s"] or 0.0) / n for stage in STAGES},
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "memory": watch.peak,
        "seen": seen,
        "said": said,
        "tasks": task_runs(home / "prefect" / "prefect.db"),
        "shards": sum(count for what, count in seen.items() if what == "extract lake put") / 6,
        "utterances": row["n_published_utterances"],
    }


@contextmanager
def serving(lake: str, n: int, a_date: int, clips: list[Path]):
    """The server, on a free port, until what is inside is done."""
    command = [sys.executable, str(SERVER), lake, str(n), str(a_date), *map(str, clips)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.communicate()


class Watch(threading.Thread):
    """The driver's resident memory, by the stage that it is in."""

    def __init__(self, pid: int, endpoint: str) -> None:
        super().__init__(daemon=True)
        self.process, self.endpoint, self.done = psutil.Process(pid), endpoint, threading.Event()
        self.peak: dict[str, float] = defaultdict(float)

    def run(self) -> None:
        while not self.done.wait(0.5):
            try:
                stage = json.load(urllib.request.urlopen(f"{self.endpoint}/__seen"))["stage"]
                self.peak[stage] = max(self.peak[stage], self.process.memory_info().rss / MB)
            except (psutil.NoSuchProcess, OSError):
                continue


def task_runs(database: Path) -> int:
    """Count the task runs that Prefect's own server has stored."""
    with sqlite3.connect(database) as connection:
        return int(connection.execute("SELECT count(*) FROM task_run").fetchone()[0])


def _peak(row: dict, *stages: str) -> float:
    return max((row["memory"].get(stage, 0.0) for stage in stages), default=0.0)


WHOLE = [
    ("seconds of all stages", lambda row: row["seconds"]),
    ("· a thousand recordings", lambda row: 1e3 * row["seconds"] / row["n"]),
    ("CPU seconds of all processes, a thousand recordings", lambda row: 1e3 * row["cpu_s"] / row["n"]),
    ("driver, MB: until planned", lambda row: _peak(row, "start", "discover", "plan")),
    ("driver, MB: extracting", lambda row: _peak(row, "extract")),
    ("driver, MB: publishing", lambda row: _peak(row, "identify", "score", "integrate", "audit", "publish")),
    ("Prefect's task runs", lambda row: row["tasks"]),
    ("Dask messages through the driver, a thousand recordings",
     lambda row: 1e3 * (row["said"]["sent"] + row["said"]["received"]) / row["n"]),
    ("bytes that the driver sent by Dask, a thousand recordings", lambda row: 1e3 * row["said"]["bytes"] / row["n"]),
]  # fmt: skip


def requests_of(rows: list[dict]):
    kinds = sorted({what for row in rows for what in row["seen"]})
    return [(what, lambda row, what=what: 1e3 * row["seen"].get(what, 0) / row["n"]) for what in kinds]


def table(title: str, rows: list[dict], lines) -> None:
    print_head(title, *(f"{row['n']:,}" for row in rows))
    for name, value in lines:
        print_row(name, *(_figure(value(row)) for row in rows))
    print(flush=True)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
