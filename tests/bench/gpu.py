"""Extraction on a GPU: times real time, utilisation of GPU and cores, and the bottleneck.

    .venv/bin/python tests/bench/gpu.py [CORPUS] [--hours 4] [--cluster cuda]...

CORPUS as in end_to_end.py. `undertone backfill --stage features` runs as a user would run it, on files in a folder,
once for each --cluster: `cuda` has one worker a GPU, `processes:4` four that share one. Five times a second nvidia-smi
and the cores are asked. Without a GPU it says so and ends.
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
from corpora import SHARED, gather
from tables import print_head, print_machine, print_row

_QUERY_COMMAND = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]
_PARTS = ("read_s", "vad_s", "egemaps_s", "embed_s", "write_s")
_HEAD = (
    *("cluster", "workers", "extract, s", "x real time", "GPU busy, %", "its memory, MB at most", "cores busy, %"),
    *(f"{part.removesuffix('_s')}, s" for part in _PARTS),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=SHARED if SHARED.is_dir() else None)
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument(
        "--cluster", action="append", help="cuda, processes:WORKERS or threads:WORKERS; may be repeated"
    )
    parser.add_argument("--decoders", type=int, default=0)
    parser.add_argument("--memory-mb", type=int, default=8_000)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no CUDA device on this machine")
    print_machine(f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        audio_s, n_files = gather(options.corpus, work / "corpus", options.hours * 3600)
        print(f"data: {options.corpus or 'synthetic voices, repeated'}: {n_files} files, {audio_s / 3600:.2f} h\n")
        print_head(*_HEAD)
        for number, chosen in enumerate(options.cluster or ["cuda"]):
            cluster, _, workers = chosen.partition(":")
            environment = os.environ | {
                "UNDERTONE_CORPUS": str(work / "corpus"),
                "UNDERTONE_LAKE": str(work / f"lake{number}"),
                "UNDERTONE_CLUSTER": cluster,
                "UNDERTONE_WORKERS": workers or "0",
                "UNDERTONE_DECODERS": str(options.decoders),
                "UNDERTONE_MEMORY_MB": str(options.memory_mb),
            }
            tell(cluster, workers or "one a GPU", audio_s, *extracted(environment))


def extracted(environment: dict[str, str]) -> tuple[dict, "Watch"]:
    """The run's row of the ledger, and what was seen of the machine."""
    command = [sys.executable, "-m", "flows", "backfill", "--stage", "features", "--json"]
    watch = Watch()
    watch.start()
    try:
        answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    finally:
        watch.done.set()
        watch.join()
    return json.loads(answer), watch


def tell(cluster: str, workers: str, audio_s: float, row: dict, watch: "Watch") -> None:
    busy, most, cores = watch.busy(row["extract_s"])
    parts = (f"{row['worked'][part]:.1f}" for part in _PARTS)
    rate = f"{audio_s / row['extract_s']:,.0f}"
    cells = (cluster, workers, f"{row['extract_s']:.1f}", rate, f"{busy:.0f}", f"{most:,.0f}", f"{cores:.0f}", *parts)
    print_row(*cells)


class Watch(threading.Thread):
    """Asks five times a second; of several GPUs the mean counts."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.found: list[tuple[float, float, float]] = []  # GPU %, MB, cores %

    def run(self) -> None:
        while not self.done.wait(0.2):
            output = subprocess.run(_QUERY_COMMAND, stdout=subprocess.PIPE, text=True, check=True).stdout
            gpus = [[float(value) for value in line.split(",")] for line in output.splitlines()]
            busy, memory = (sum(column) / len(gpus) for column in zip(*gpus, strict=True))
            self.found.append((busy, memory, psutil.cpu_percent()))

    def busy(self, seconds: float) -> tuple[float, float, float]:
        """Means, and the largest memory, over the samples of the stage: the last ones, but for the run's own end."""
        held = [row for row in self.found if row[1] > 0.5 * max(row[1] for row in self.found)]
        held = held[-max(1, round(seconds / 0.2)) :]
        return sum(r[0] for r in held) / len(held), max(r[1] for r in held), sum(r[2] for r in held) / len(held)


if __name__ == "__main__":
    main()
