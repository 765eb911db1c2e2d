"""The extract stage on a GPU: times real time, and how busy the GPU and the cores were.

    .venv/bin/python tests/bench/gpu.py [CORPUS] [--hours 4] [--cluster cuda] [--decoders 0]

CORPUS as in end_to_end.py. `undertone backfill --stage features` runs as a user would run it, once with as many workers
as there are GPUs; five times a second nvidia-smi and the cores are asked. `--cluster threads --workers 1` needs no
dask-cuda. Without a GPU it says so and ends.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil
import torch
from end_to_end import SHARED, gather, machine

_ASKS = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=SHARED if SHARED.is_dir() else None)
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--cluster", default="cuda")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--decoders", type=int, default=0)
    parser.add_argument("--memory-mb", type=int, default=8_000)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no CUDA device on this machine")
    machine()
    print(f"GPU: {torch.cuda.device_count()} x {torch.cuda.get_device_name()}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        audio_s, n_files = gather(options.corpus, work / "corpus", options.hours * 3600)
        print(f"data: {options.corpus or 'synthetic sample, repeated'}: {n_files} files, {audio_s / 3600:.2f} h\n")
        environment = os.environ | {
            "UNDERTONE_CORPUS": str(work / "corpus"),
            "UNDERTONE_LAKE": str(work / "lake"),
            "UNDERTONE_CLUSTER": options.cluster,
            "UNDERTONE_WORKERS": str(options.workers),
            "UNDERTONE_DECODERS": str(options.decoders),
            "UNDERTONE_MEMORY_MB": str(options.memory_mb),
        }
        command = [sys.executable, "-m", "flows", "backfill", "--stage", "features", "--json"]
        watch = Watch()
        watch.start()
        answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
        watch.done.set()
        watch.join()
    row = json.loads(answer)
    print("| extract, s | x real time | GPU busy, % | its memory, MB at most | cores busy, % |\n|---|---|---|---|---|")
    rate = 3600 * row["audio_hours"] / row["extract_s"]
    busy, most, cores = watch.busy(row["extract_s"])
    print(f"| {row['extract_s']:.1f} | {rate:.0f} | {busy:.0f} | {most:.0f} | {cores:.0f} |")


class Watch(threading.Thread):
    """Asks five times a second; of several GPUs the mean counts."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.found: list[tuple[float, float, float]] = []  # GPU %, MB, cores %

    def run(self) -> None:
        while not self.done.wait(0.2):
            told = subprocess.run(_ASKS, stdout=subprocess.PIPE, text=True, check=True).stdout
            gpus = [[float(value) for value in line.split(",")] for line in told.splitlines()]
            busy, memory = (sum(column) / len(gpus) for column in zip(*gpus, strict=True))
            self.found.append((busy, memory, psutil.cpu_percent()))

    def busy(self, seconds: float) -> tuple[float, float, float]:
        """Means, and the largest memory, over the samples of the stage: the last ones, but for the run's own end."""
        held = [row for row in self.found if row[1] > 0.5 * max(row[1] for row in self.found)]
        held = held[-max(1, round(seconds / 0.2)) :]
        return sum(r[0] for r in held) / len(held), max(r[1] for r in held), sum(r[2] for r in held) / len(held)


if __name__ == "__main__":
    main()
