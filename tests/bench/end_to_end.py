"""End to end on this machine: seconds by stage, RTFx, the cost of an empty night; beside librosa and joblib.

    make bench                                           or
    .venv/bin/python tests/bench/end_to_end.py [CORPUS] [--hours 1] [--no-peer]

CORPUS is a folder with a labels.csv (path, duration_s); without one ../shared/corpora is taken where it is, else the
sample's synthetic clips, each repeated at many levels. Everything runs as a user would run it, in processes of its own.
"""

import argparse
import csv
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile as sf

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "corpora"
SAMPLE = ROOT / "flows" / "sample" / "corpus"
STAGES = ("discover", "plan", "extract", "identify", "score", "integrate", "audit", "publish")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=SHARED if SHARED.is_dir() else None)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        audio_s, n_files = gather(options.corpus, work / "corpus", options.hours * 3600)
        machine()
        print(f"data: {options.corpus or 'synthetic sample, repeated'}: {n_files} files, {audio_s / 3600:.2f} h\n")
        environment = os.environ | {"UNDERTONE_CORPUS": str(work / "corpus"), "UNDERTONE_LAKE": str(work / "lake")}
        _, new_s = undertone(environment, "nightly", "--date", "2031-01-01")
        empty, empty_s = undertone(environment, "nightly", "--date", "2031-01-01")
        first, first_s = undertone(environment, "backfill")
        _, again_s = undertone(environment, "backfill")
        print("| | seconds | x real time |\n|---|---|---|")
        print(f"| Undertone, command to published tables | {first_s:.1f} | {audio_s / first_s:.0f} |")
        for stage in STAGES:
            print(f"| · {stage} | {first[f'{stage}_s']:.2f} | |")
        inside = sum(first[f"{stage}_s"] for stage in STAGES)
        print(f"| · start, Prefect's server, registry, stop | {first_s - inside:.2f} | |")
        print(f"| the same again: nothing is done twice | {again_s:.1f} | |")
        print(f"| an empty nightly | {empty_s:.1f} | |")
        print(f"| an empty nightly, the first ever in a lake (registers the models) | {new_s:.1f} | |")
        assert empty["n_read"] == 0
        assert first["n_published_utterances"] > 0
        if not options.no_peer:
            peer_s = peer(work / "corpus", work / "peer.parquet")
            what = "librosa + joblib + pandas: MFCC, RMS, centroid, yin; no VAD, no speakers"
            print(f"| {what} | {peer_s:.1f} | {audio_s / peer_s:.0f} |")
            print(f"\nUndertone does {peer_s / first_s:.1f} times the peer's speed, and more of the work.")


def machine() -> None:
    """Names what it ran on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    name = models[0].split(":", 1)[1].strip() if models else platform.processor()
    print(f"machine: {len(os.sched_getaffinity(0))} cores of {name}, Python {platform.python_version()}, no GPU used")


def gather(corpus: Path | None, target: Path, seconds: float) -> tuple[float, int]:
    """Real files up to so many seconds, laid out over three dates."""
    total, count = 0.0, 0
    for name, length, content in _labelled(corpus) if corpus else _repeated():
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


def _repeated():
    clips = [(path, *sf.read(path)) for path in sorted(SAMPLE.rglob("*.flac")) if "truncated" not in path.name]
    for turn in range(1_000):
        for path, samples, rate in clips:
            sink = io.BytesIO()
            sf.write(sink, samples * (0.9 - turn * 8e-4), rate, format="FLAC")
            yield f"{turn:03d}-{path.name}", len(samples) / rate, sink.getvalue()


def undertone(environment: dict[str, str], *arguments: str) -> tuple[dict, float]:
    """The command in a process of its own: its JSON, and the wall clock from start to exit."""
    command = [sys.executable, "-m", "flows", *arguments, "--json"]
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout), seconds


def peer(corpus: Path, output: Path) -> float:
    """What one would write instead: a pool over the files, a row of means and deviations each, into Parquet."""
    started = time.perf_counter()
    code = (
        "import sys; sys.path.insert(0, sys.argv[3]); import librosa_peer; librosa_peer.main(sys.argv[1], sys.argv[2])"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, corpus, output, Path(__file__).parent], check=True)
    seconds = time.perf_counter() - started
    shutil.rmtree(output, ignore_errors=True)
    return seconds


if __name__ == "__main__":
    main()
