"""Peer of `end_to_end.py` that does comparable work with the usual tools, joblib and pandas.

    PYTHON tests/bench/usual_peer.py CORPUS OUTPUT.parquet

openSMILE's eGeMAPSv02 and Resemblyzer's pretrained d-vector of each file, whichever PYTHON has, into Parquet: no speech
detection beside Resemblyzer's own, no emotion, no identities. Neither is a dependency; openSMILE's licence forbids the
use in a product, and nothing that it computes is kept.
"""

import functools
import importlib.util
import os
import sys
from pathlib import Path

import joblib
import librosa
import numpy as np
import pandas as pd

RATE = 16_000
MIN_S = 0.1  # of a clip after Resemblyzer's trimming
PARTS = {"opensmile": "openSMILE's eGeMAPSv02", "resemblyzer": "Resemblyzer's d-vector"}


def main(corpus: str, output: str) -> None:
    files = sorted(path for path in Path(corpus).rglob("*") if path.is_file())
    parts = [name for name in PARTS if importlib.util.find_spec(name)]
    if not parts:
        sys.exit(f"{sys.executable} has neither of {', '.join(PARTS)}")
    cores = len(os.sched_getaffinity(0))
    rows = joblib.Parallel(n_jobs=cores)(joblib.delayed(features)(path, parts) for path in files)
    pd.DataFrame(rows).to_parquet(output)
    print(" and ".join(PARTS[name] for name in parts) + ", joblib, pandas")


def features(path: Path, parts: list[str]) -> dict[str, object]:
    waveform, _ = librosa.load(path, sr=RATE, mono=True)
    row: dict[str, object] = {"path": str(path)}
    if "opensmile" in parts:
        row |= _smile().process_signal(waveform, RATE).iloc[0].to_dict()
    if "resemblyzer" in parts:
        row["d_vector"] = _vector(waveform).tolist()
    return row


def _vector(waveform: np.ndarray) -> np.ndarray:
    from resemblyzer import preprocess_wav

    trimmed = preprocess_wav(waveform, source_sr=RATE)
    return _encoder().embed_utterance(trimmed if len(trimmed) > MIN_S * RATE else waveform)


@functools.cache
def _smile():
    import opensmile

    return opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)


@functools.cache
def _encoder():
    import torch
    from resemblyzer import VoiceEncoder

    torch.set_num_threads(1)
    return VoiceEncoder("cpu", verbose=False)


if __name__ == "__main__":
    import usual_peer  # by its name: joblib would send what is in __main__ anew with every file, caches emptied

    usual_peer.main(*sys.argv[1:])
