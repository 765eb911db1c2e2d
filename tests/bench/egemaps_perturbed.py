"""Jitter and shimmer of voices perturbed by a known amount, beside openSMILE's where it is installed.

    .venv/bin/python tests/bench/egemaps_perturbed.py [--peer-python PATH]

Trains of pulses at 160 Hz whose periods or heights alternate. Jitter is the mean difference of neighbouring periods
over the mean period; shimmer 20 log10 of one more than the same of heights.
"""

import argparse
import importlib.util
import math
import sys

import numpy as np
from egemaps_emotion import ours
from peers import opensmile_egemaps
from tables import print_head, print_row

from features.decode.config import SAMPLE_RATE
from features.dsp.gemaps import EGEMAPS_NAMES

PERIOD, SECONDS = 100, 3  # samples, seconds
SHARES = (0.01, 0.02, 0.04, 0.08)  # by which neighbours differ
COLUMNS = [EGEMAPS_NAMES.index(f"{name}_sma3nz_amean") for name in ("jitterLocal", "shimmerLocaldB")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default=sys.executable if importlib.util.find_spec("opensmile") else None)
    options = parser.parse_args()
    waveforms = [pulses(share, 0.0) for share in SHARES] + [pulses(0.0, share) for share in SHARES]
    shimmer = [20 * math.log10(1 + share) for share in SHARES]
    truth = [(share, 0.0) for share in SHARES] + [(0.0, level_db) for level_db in shimmer]
    answers = {"Undertone": ours(waveforms)}
    if options.peer_python:
        name, values, *_ = opensmile_egemaps(waveforms, options.peer_python)
        answers[name] = values
    heads = [head for name in answers for head in (f"{name}: jitter", "shimmer, dB")]
    print_head("put in: jitter", "shimmer, dB", *heads)
    for row, (jitter, shimmer_db) in enumerate(truth):
        cells = [jitter, shimmer_db, *(value for values in answers.values() for value in values[row, COLUMNS])]
        print_row(*(f"{cell:.4f}" for cell in cells))


def pulses(period_share: float, height_share: float) -> np.ndarray:
    """(time,) float32: Gaussian pulses whose periods and heights alternate around their means by half a share."""
    time = np.arange(SECONDS * SAMPLE_RATE)
    wave, place, sign = np.zeros(len(time)), 0.5 * PERIOD, 1
    while place < len(time):
        near = slice(max(0, int(place) - 20), int(place) + 21)
        wave[near] += 0.4 * (1 + sign * height_share / 2) * np.exp(-0.5 * ((time[near] - place) / 3) ** 2)
        place += PERIOD * (1 + sign * period_share / 2)
        sign = -sign
    return (wave - wave.mean()).astype(np.float32)


if __name__ == "__main__":
    main()
