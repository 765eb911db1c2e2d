"""Output of the benches: the machine that they ran on, and Markdown tables row by row."""

import os
import platform
from pathlib import Path


def print_machine(gpus: str = "no GPU used") -> None:
    """Print cores, processor, Python and GPUs."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    name = models[0].split(":", 1)[1].strip() if models else platform.processor()
    print(f"machine: {len(os.sched_getaffinity(0))} cores of {name}, Python {platform.python_version()}, {gpus}")


def print_head(*columns: object) -> None:
    """Print the head of a table."""
    print_row(*columns)
    print(f"|{'---|' * len(columns)}", flush=True)


def print_row(*cells: object) -> None:
    """Print a row of a table at once, so that a long bench shows how far it is."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)
