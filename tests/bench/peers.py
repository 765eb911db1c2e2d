"""Other programs that do comparable work, each run by a Python that has it installed by hand."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from features.dsp.batching import pad_batch
from models.wespeaker.weights import load_ort

_HERE = Path(__file__).parent


def run_peer(python: str, script: str, *arguments: str | Path) -> tuple[float, list[str]]:
    """Run a peer's script of this folder on one core a process; return its wall clock in seconds and printed lines."""
    command = [python, "-W", "ignore", _HERE / script, *arguments]
    started = time.perf_counter()
    process = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"{script} ended with {process.returncode}:\n{process.stderr[-2000:]}")
    return seconds, process.stdout.strip().splitlines()


def opensmile_egemaps(
    waveforms: list[np.ndarray], python: str, *, tracks: bool = False
) -> tuple[str, np.ndarray, float, list[np.ndarray]]:
    """Return openSMILE's name, (n, 88) values, seconds of processor time, and F0 by frame if `tracks`."""
    with tempfile.TemporaryDirectory() as folder:
        source, target, f0 = (Path(folder) / name for name in ("waveforms.npz", "features.npy", "f0.npz"))
        np.savez(source, *waveforms)
        _, lines = run_peer(python, "opensmile_peer.py", source, target, *[f0] * tracks)
        by_frame = [file[key] for file in [np.load(f0)] for key in file.files] if tracks else []
        return lines[-2], np.load(target), float(lines[-1]), by_frame


def wespeaker_embeddings(waveforms: list[np.ndarray], model: Path) -> tuple[str, np.ndarray, float]:
    """Return WeSpeaker's name, (n, dim) embeddings, and seconds of processor time; `model` is its `.ort` file."""
    network = load_ort(model)
    started = time.process_time()
    with torch.inference_mode():
        rows = [network.embed(*pad_batch([waveform], torch.device("cpu"))) for waveform in waveforms]
    seconds = time.process_time() - started
    return "WeSpeaker ResNet34-LM", torch.nn.functional.normalize(torch.cat(rows)).numpy(), seconds


def resemblyzer_embeddings(waveforms: list[np.ndarray], python: str) -> tuple[str, np.ndarray, float]:
    """Return Resemblyzer's name, (n, dim) embeddings, and seconds of processor time."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "waveforms.npz", Path(folder) / "vectors.npy"
        np.savez(source, *waveforms)
        _, lines = run_peer(python, "resemblyzer_peer.py", source, target)
        return lines[-2], np.load(target), float(lines[-1])
