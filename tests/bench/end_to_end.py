"""End to end on this machine: seconds by stage, RTFx, orchestration, an empty night; beside what one would write.

    make bench                                           or
    .venv/bin/python tests/bench/end_to_end.py [CORPUS] [--hours 1] [--no-peer] [--peer-python PATH]

CORPUS is a folder with a labels.csv (path, duration_s); without one ../shared/corpora is taken where it is, else the
sample's synthetic clips. What is shorter than --hours is repeated, at many levels. Everything runs as a user would run
it, in processes of its own, corpus and lake in S3 on loopback: moto's server, or Ceph's where
`python tests/helpers/radosgw.py run --` stands before.
"""

import argparse
import contextlib
import csv
import io
import itertools
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import soundfile as sf

from flows.workers.embedded_s3 import embedded_s3, upload

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "corpora"
SAMPLE = ROOT / "flows" / "sample" / "corpus"
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
        machine()
        print(f"data: {options.corpus or 'synthetic sample, repeated'}: {n_files} files, {audio_s / 3600:.2f} h")
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
        print("| | seconds | x real time |\n|---|---|---|")
        print(f"| Undertone, command to published tables | {first_s:.1f} | {audio_s / first_s:.0f} |")
        tell_stages(first, first_s)
        print(f"| the same, with a Prefect server that stands | {standing_s:.1f} | {audio_s / standing_s:.0f} |")
        print(f"| · orchestration | {orchestration(standing, standing_s):.2f} | {share(standing, standing_s)} |")
        print(f"| the same again: nothing is done twice | {again_s:.1f} | |")
        print(f"| an empty nightly | {empty_s:.1f} | |")
        print(f"| an empty nightly, the first ever in a lake (registers the models) | {new_s:.1f} | |")
        if not options.no_peer:
            peers(work, audio_s, first_s, options.peer_python)


def tell_stages(ledger: dict, wall_s: float) -> None:
    """Where the wall clock went, and the workers' time."""
    for stage in STAGES:
        print(f"| · {stage} | {ledger[f'{stage}_s']:.2f} | |")
    inside = sum(ledger[f"{stage}_s"] for stage in STAGES)
    print(f"| · start, Prefect's server, registry, stop | {wall_s - inside:.2f} | |")
    for what, seconds in ledger["worked"].items():
        print(f"| · of the workers' time, added up: {what.removesuffix('_s')} | {seconds:.2f} | |")
    print(f"| · orchestration | {orchestration(ledger, wall_s):.2f} | {share(ledger, wall_s)} |")


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
    seconds, _ = peer(sys.executable, "librosa_peer.py", work)
    what = "librosa + joblib + pandas: MFCC, RMS, centroid, yin; no VAD, no speakers"
    print(f"| {what} | {seconds:.1f} | {audio_s / seconds:.0f} |")
    if not python:
        print(
            "\nWith --peer-python PATH also beside openSMILE and Resemblyzer: a Python into which they were installed."
        )
        return
    seconds, what = peer(python, "usual_peer.py", work)
    print(f"| {what}: by file, no emotion, no identities | {seconds:.1f} | {audio_s / seconds:.0f} |")
    print(f"\nUndertone has {seconds / first_s:.1f} times the speed of {what}, and does more of the work.")


def machine(gpus: str = "no GPU used") -> None:
    """Names what it ran on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    name = models[0].split(":", 1)[1].strip() if models else platform.processor()
    print(f"machine: {len(os.sched_getaffinity(0))} cores of {name}, Python {platform.python_version()}, {gpus}")


def gather(corpus: Path | None, target: Path, seconds: float) -> tuple[float, int]:
    """Real files up to so many seconds, laid out over three dates."""
    total, count = 0.0, 0
    for name, length, content in _labelled(corpus) if corpus else _repeated(SAMPLE):
        if total >= seconds:
            break
        path = target / "2026" / "11" / f"{19 + count % 3}" / f"{count:05d}-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        total, count = total + length, count + 1
    return total, count


def _labelled(corpus: Path):
    with (corpus / "labels.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["path"].startswith("fsdd"))
    for row in rows:
        path = corpus / row["path"]
        yield path.name, float(row["duration_s"]), path.read_bytes()
    yield from _repeated(corpus)


def _repeated(corpus: Path):
    """Each clip at a thousand levels: other bytes, and so other recordings."""
    known = {f".{name.lower()}" for name in sf.available_formats()}
    paths = [path for path in sorted(corpus.rglob("*.*")) if path.suffix in known and "truncated" not in path.name]
    if not paths:
        sys.exit(f"expected audio that libsndfile reads in {corpus}, found none")
    with ProcessPoolExecutor() as pool:
        for turn in range(1_000):
            again = pool.map(_at_level, paths, itertools.repeat(0.9 - turn * 8e-4), chunksize=8)
            for path, (length, content) in zip(paths, again, strict=True):
                yield f"{turn:03d}-{path.name}", length, content


def _at_level(path: Path, level: float) -> tuple[float, bytes]:
    samples, rate = sf.read(path)
    sink = io.BytesIO()
    sf.write(sink, samples * level, rate, format="FLAC")
    return len(samples) / rate, sink.getvalue()


def undertone(environment: dict[str, str], *arguments: str) -> tuple[dict, float]:
    """The command in a process of its own: its JSON, and the wall clock from start to exit."""
    command = [sys.executable, "-m", "flows", *arguments, "--json"]
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout), seconds


def peer(python: str, script: str, work: Path) -> tuple[float, str]:
    """The wall clock of a script over the corpus, and what it says of itself."""
    command = [python, "-W", "ignore", Path(__file__).with_name(script), work / "corpus", work / "peer.parquet"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}  # a process a core
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{script} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return seconds, done.stdout.strip()


if __name__ == "__main__":
    main()
