"""End to end on this machine: seconds by stage, RTFx, orchestration, an empty night; beside hand-written scripts.

    make bench                                           or
    .venv/bin/python tests/bench/end_to_end.py [CORPUS] [--hours 1] [--no-peer] [--peer-python PATH]

CORPUS is a folder with a labels.csv (path, duration_s); without one ../shared/corpora is taken where it is, else the
tests' synthetic clips. What is shorter than --hours is repeated, at many levels. Everything runs as a user would run
it, in processes of its own, corpus and lake in S3 on loopback: moto's server, or Ceph's where
`python tests/helpers/radosgw.py run --` stands before.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from corpora import ROOT, SHARED, gather
from peers import run_peer
from tables import print_head, print_machine, print_row

from flows.workers.embedded_s3 import embedded_s3, upload

STAGES = ("discover", "plan", "extract", "identify", "score", "integrate", "audit", "publish")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=SHARED if SHARED.is_dir() else None)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--peer-python", help="a Python that has openSMILE or Resemblyzer, joblib, librosa, pandas")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, store() as bucket:
        work = Path(folder)
        audio_s, n_files = gather(options.corpus, work / "corpus", options.hours * 3600)
        upload(work / "corpus", bucket, "calls/")
        print_machine()
        print(f"data: {options.corpus or 'synthetic voices, repeated'}: {n_files} files, {audio_s / 3600:.2f} h")
        print(f"store: S3 at {os.environ['AWS_ENDPOINT_URL']}\n")
        environment = os.environ | {
            "UNDERTONE_CORPUS": f"s3://{bucket}/calls",
            "UNDERTONE_LAKE": f"s3://{bucket}/lake",
            "UNDERTONE_REGISTRY": f"sqlite:///{work / 'mlflow.db'}",
        }
        _, new_s = undertone(environment, "nightly", "--date", "2031-01-01")
        empty, empty_s = undertone(environment, "nightly", "--date", "2031-01-01")
        first, first_s = undertone(environment, "backfill")
        _, again_s = undertone(environment, "backfill")
        with standing_server(work) as address:
            there = environment | {"PREFECT_API_URL": address, "UNDERTONE_LAKE": f"s3://{bucket}/another"}
            standing, standing_s = undertone(there, "backfill")
        assert empty["n_read"] == 0
        assert first["n_published_utterances"] == standing["n_published_utterances"] > 0
        print_head("", "seconds", "x real time")
        print_row("Undertone, command to published tables", f"{first_s:.1f}", f"{audio_s / first_s:.0f}")
        print_stages(first, first_s)
        print_row("the same, with a Prefect server that stands", f"{standing_s:.1f}", f"{audio_s / standing_s:.0f}")
        print_row("· orchestration", f"{orchestration(standing, standing_s):.2f}", share(standing, standing_s))
        print_row("the same again: nothing is done twice", f"{again_s:.1f}", "")
        print_row("an empty nightly", f"{empty_s:.1f}", "")
        print_row("an empty nightly, the first ever in a lake (registers the models)", f"{new_s:.1f}", "")
        if not options.no_peer:
            peers(work, audio_s, first_s, options.peer_python)


def print_stages(ledger: dict, wall_s: float) -> None:
    """Print the wall clock by stage, and the workers' time."""
    for stage in STAGES:
        print_row(f"· {stage}", f"{ledger[f'{stage}_s']:.2f}", "")
    inside = sum(ledger[f"{stage}_s"] for stage in STAGES)
    print_row("· start, Prefect's server, registry, stop", f"{wall_s - inside:.2f}", "")
    for what, seconds in ledger["worked"].items():
        print_row(f"· of the workers' time, added up: {what.removesuffix('_s')}", f"{seconds:.2f}", "")
    print_row("· orchestration", f"{orchestration(ledger, wall_s):.2f}", share(ledger, wall_s))


def orchestration(ledger: dict, wall_s: float) -> float:
    """Seconds of the wall clock that went neither into decoding, VAD and features nor into models.

    Those are what the workers took, by their number (`read_s` is what they waited for reading and decoding), and the
    driver's stages `identify` and `score`.
    """
    work_s = sum(ledger["worked"][name] for name in ("read_s", "vad_s", "egemaps_s", "embed_s"))
    return wall_s - work_s / len(os.sched_getaffinity(0)) - ledger["identify_s"] - ledger["score_s"]


def share(ledger: dict, wall_s: float) -> str:
    return f"{orchestration(ledger, wall_s) / wall_s:.0%} of it"


@contextlib.contextmanager
def store() -> Iterator[str]:
    """A bucket on the S3 server that UNDERTONE_TEST_S3_ENDPOINT names (tests/helpers/radosgw.py), else on moto's."""
    if "UNDERTONE_TEST_S3_ENDPOINT" not in os.environ:
        with embedded_s3("undertone-bench"):
            yield "undertone-bench"
        return
    import boto3

    bucket = f"undertone-bench-{os.getpid()}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    yield bucket


@contextlib.contextmanager
def standing_server(work: Path) -> Iterator[str]:
    """A Prefect server of its own home; ended by its process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-ui",
    ]
    environment = os.environ | {"PREFECT_HOME": str(work / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/api"
    try:
        while server.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/health", timeout=10).close()
                break
            time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait()


def peers(work: Path, audio_s: float, first_s: float, python: str | None) -> None:
    """The scripts that one would write instead, over the same files in a folder."""
    seconds, _ = run_peer(sys.executable, "librosa_peer.py", work / "corpus", work / "peer.parquet")
    what = "librosa + joblib + pandas: MFCC, RMS, centroid, yin; no VAD, no speakers"
    print_row(what, f"{seconds:.1f}", f"{audio_s / seconds:.0f}")
    if not python:
        print(
            "\nWith --peer-python PATH also beside openSMILE and Resemblyzer: a Python into which they were installed."
        )
        return
    seconds, lines = run_peer(python, "usual_peer.py", work / "corpus", work / "peer.parquet")
    what = "\n".join(lines)
    print_row(f"{what}: by file, no emotion, no identities", f"{seconds:.1f}", f"{audio_s / seconds:.0f}")
    print(f"\nUndertone has {seconds / first_s:.1f} times the speed of {what}, and does more of the work.")


def undertone(environment: dict[str, str], *arguments: str) -> tuple[dict, float]:
    """The command in a process of its own: its JSON, and the wall clock from start to exit."""
    command = [sys.executable, "-m", "flows", *arguments, "--json"]
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout), seconds


if __name__ == "__main__":
    main()
