"""Parity of our 88 functionals with openSMILE's eGeMAPSv02, feature by feature, and the ratio of speeds.

    .venv/bin/python tests/bench/egemaps_parity.py CORPUS [--peer-python PATH] [--most N] [--voicing]

CORPUS is a folder of audio files, read at any depth; N of them, evenly picked, at most. Both get the same samples at
16 kHz. openSMILE is asked where this Python, or the one at --peer-python, has the package `opensmile`, installed by
hand: its licence forbids the use in a product, so it is no dependency, and nothing that it computes is kept. Speed is
processor time on one core, ours in batches as the pipeline makes them. A coefficient of variation whose mean is close
to 0 has no scale, and a single clip then decides Pearson's r: the rank correlation stands beside it. `--voicing` also
says in how many frames both agree on whether there is a voice, and how far apart their F0 is where they do.
"""

import argparse
import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
import torch
from egemaps_emotion import ours
from peers import opensmile_egemaps
from scipy.stats import spearmanr
from tables import print_head

from features.decode.config import SAMPLE_RATE
from features.decode.recording import Decoded, decode
from features.dsp.gemaps import EGEMAPS_NAMES, LLD_NAMES, egemaps_lld

F0 = LLD_NAMES.index("F0semitoneFrom27.5Hz_sma3nz")
SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".opus"}
WHY = {
    "F0semitone": "1 frame in 150 is voiced otherwise, most of them at the edges, where a slope is decided",
    "jitter": "periods are chained from where a voiced stretch begins, and chains that begin apart stay apart",
    "shimmer": "as jitter",
    "F1": "poles of wide bands follow the rounding of the predictor, of single precision there",
    "F2": "as F1",
    "F3": "as F1",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--peer-python", default=sys.executable if importlib.util.find_spec("opensmile") else None)
    parser.add_argument("--most", type=int, default=2000)
    parser.add_argument("--voicing", action="store_true")
    options = parser.parse_args()
    if not options.peer_python:
        sys.exit(
            "expected a Python with opensmile to compare with: pip install opensmile elsewhere, --peer-python PATH"
        )
    torch.set_num_threads(1)
    waveforms = read(options.corpus, options.most)
    audio_s = sum(map(len, waveforms)) / SAMPLE_RATE
    ours(waveforms[:32])
    started = time.process_time()
    values = ours(waveforms).astype(np.float64)
    seconds = time.process_time() - started
    peer, expected, peer_seconds, tracks = opensmile_egemaps(waveforms, options.peer_python, tracks=options.voicing)
    print(f"{len(waveforms)} clips, {audio_s / 60:.1f} min, of {options.corpus.name}; torch {torch.__version__}\n")
    print_head("feature", "r", "concordance", "rank r", "median difference", "")
    agreements = [agreement(*column) for column in zip(values.T, expected.T, strict=True)]
    for name, (pearson, concordance, ranks, difference) in zip(EGEMAPS_NAMES, agreements, strict=True):
        print(
            f"| {name} | {pearson:.3f} | {concordance:.3f} | {ranks:.3f} | {difference:.3g} | {remark(name, pearson)} |"
        )
    pearson, _, ranks, _ = np.array(agreements).T
    print(f"\nr of 0.9 or more: {(pearson >= 0.9).sum()} of 88, median {np.median(pearson):.3f}; ", end="")
    print(f"rank r of 0.9 or more: {(ranks >= 0.9).sum()} of 88, median {np.median(ranks):.3f}")
    print(f"one core: {audio_s / seconds:.0f}x real time, {peer} {audio_s / peer_seconds:.0f}x: ", end="")
    print(f"{peer_seconds / seconds:.1f} times as fast")
    if tracks:
        print(voicing(waveforms, tracks))


def read(corpus: Path, most: int) -> list[np.ndarray]:
    """(time,) float32 at 16 kHz each; files that cannot be decoded are named and left out."""
    paths = sorted(path for path in corpus.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        sys.exit(f"expected audio files ({', '.join(sorted(SUFFIXES))}) below {corpus}, found none")
    found = []
    for path in paths[:: max(1, -(-len(paths) // most))]:
        audio = decode(path.read_bytes())
        if isinstance(audio, Decoded):
            found.append(audio.waveform)
        else:
            print(f"{path.name} left out: {audio.error}", file=sys.stderr)
    return found


def agreement(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float, float]:
    """Pearson's r, Lin's concordance (Biometrics 45, 1989), Spearman's r, the median difference, of clips both have."""
    both = np.isfinite(theirs)
    ours, theirs = ours[both], theirs[both]
    covariance = np.cov(ours, theirs, bias=True)
    pearson = covariance[0, 1] / max(np.sqrt(covariance[0, 0] * covariance[1, 1]), 1e-12)
    concordance = 2 * covariance[0, 1] / max(np.trace(covariance) + (ours.mean() - theirs.mean()) ** 2, 1e-12)
    return pearson, concordance, spearmanr(ours, theirs).statistic, float(np.median(ours - theirs))


def voicing(waveforms: list[np.ndarray], tracks: list[np.ndarray]) -> str:
    """Frame by frame, without the last five, whose F0 openSMILE settles differently for functionals and descriptors."""
    alike, apart = [], []
    for waveform, track in zip(waveforms, tracks, strict=True):
        found = egemaps_lld(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
        n = max(0, min(int(found.n_frames[0]), len(track)) - 5)
        ours, voiced = found.values[0, :n, F0].numpy(), found.voiced[0, :n].numpy()
        alike.append(voiced == (track[:n] > 0))
        apart.append(np.abs(ours - track[:n])[voiced & (track[:n] > 0)])
    share, semitones = 1 - np.concatenate(alike).mean(), np.concatenate(apart)
    return (
        f"voiced otherwise: {share:.2%} of frames; F0 {np.median(semitones):.4f} semitones apart in the median frame, "
        f"more than a semitone in {(semitones > 1).mean():.2%}"
    )


def remark(name: str, pearson: float) -> str:
    if pearson >= 0.9:
        return ""
    why = next((why for start, why in WHY.items() if name.startswith(start)), "")
    return why or ("a coefficient of variation: what its mean is near 0 decides" if name.endswith("stddevNorm") else "")


if __name__ == "__main__":
    main()
