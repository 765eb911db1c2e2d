"""Peer of `end_to_end.py`: the script that one writes with librosa, joblib and pandas in an afternoon."""

import os
import sys
from pathlib import Path

import joblib
import librosa
import numpy as np
import pandas as pd


def main(corpus: str, output: str) -> None:
    files = sorted(path for path in Path(corpus).rglob("*") if path.is_file())
    rows = joblib.Parallel(n_jobs=len(os.sched_getaffinity(0)))(joblib.delayed(features)(path) for path in files)
    pd.DataFrame(rows).to_parquet(output)


def features(path: Path) -> dict[str, float | str]:
    waveform, rate = librosa.load(path, sr=16_000, mono=True)
    tracks = {
        **{f"mfcc_{index}": row for index, row in enumerate(librosa.feature.mfcc(y=waveform, sr=rate, n_mfcc=13))},
        "rms": librosa.feature.rms(y=waveform)[0],
        "centroid": librosa.feature.spectral_centroid(y=waveform, sr=rate)[0],
        "f0": librosa.yin(waveform, fmin=55, fmax=600, sr=rate),
    }
    statistics = {"mean": np.mean, "sd": np.std}
    return {"path": str(path), **{f"{n}_{s}": float(f(t)) for n, t in tracks.items() for s, f in statistics.items()}}


if __name__ == "__main__":
    import librosa_peer  # by its name: joblib would send what is in __main__ anew with every file, caches emptied

    librosa_peer.main(*sys.argv[1:])
