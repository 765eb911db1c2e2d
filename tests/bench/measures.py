"""Cost of quality measures and conditioning: ns a sample of one channel, and times real time, on one core.

    .venv/bin/python tests/bench/measures.py [--seconds 60]

Noise made here, given in blocks of 2**19 samples as a decoder would; speed does not depend on the content. Processor
time, the best of five.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from tables import print_head, print_machine, print_row

from features.decode.conditioning import DenoiseConfig, denoise
from features.decode.rumble import remove_rumble
from features.quality.bandwidth import BandwidthMeter
from features.quality.dual_mono import DualMonoDetector
from features.quality.loudness import LoudnessMeter
from features.segmentation.energy_vad import energy_probabilities
from features.segmentation.silero_vad import speech_probabilities

BLOCK = 1 << 19  # samples, all channels together


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_machine()
    print(f"data: {options.seconds} s of noise\n")
    print_head("", "audio", "ns a sample", "x real time")
    for rate, n_channels in ((48_000, 2), (16_000, 1)):
        samples = np.random.default_rng(0).normal(0, 0.1, (options.seconds * rate, n_channels)).astype(np.float32)
        whole_s = 0.0
        measures = {"loudness": loudness, "bandwidth, of the mean": bandwidth, "dual mono": dual_mono}
        for name, measure in measures.items():
            spent_s = seconds(partial(measure, samples, rate))
            whole_s += spent_s
            row(name, samples, rate, spent_s)
        row("all measures", samples, rate, whole_s)
        mono = samples[:, 0].copy()
        row("rumble", mono, rate, seconds(partial(remove_rumble, mono, rate)))
        row("noise", mono, rate, seconds(partial(denoise, mono, rate, config=DenoiseConfig())))
    waveform, lengths = torch.from_numpy(mono)[None], torch.tensor([len(mono)])
    row("VAD by energy", mono, rate, seconds(partial(energy_probabilities, waveform, lengths)))
    row("VAD by Silero", mono, rate, seconds(partial(speech_probabilities, waveform, lengths)))


def loudness(samples: np.ndarray, rate: int) -> None:
    meter = LoudnessMeter(rate, samples.shape[1])
    for block in blocks(samples):
        meter.add(block)
    meter.integrated_lufs()


def bandwidth(samples: np.ndarray, rate: int) -> None:
    meter = BandwidthMeter(rate)
    for block in blocks(samples):
        meter.add(block.T.copy().mean(axis=0))  # the mean over a short last axis takes five times as long
    meter.bandwidth_hz()


def dual_mono(samples: np.ndarray, rate: int) -> None:
    meter = DualMonoDetector(rate, samples.shape[1])
    for block in blocks(samples):
        meter.add(block)
    meter.is_dual_mono()


def blocks(samples: np.ndarray) -> list[np.ndarray]:
    n_frames = BLOCK // samples.shape[1]
    return [samples[first : first + n_frames] for first in range(0, len(samples), n_frames)]


def seconds(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(5):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return min(spent)


def row(name: str, samples: np.ndarray, rate: int, spent_s: float) -> None:
    channels = "mono" if samples.size == len(samples) else "stereo"
    real_time = len(samples) / rate / max(spent_s, 1e-9)
    cost = 1e9 * spent_s / samples.size
    print_row(name, f"{rate // 1000} kHz {channels}", f"{cost:.1f}", f"{real_time:.0f}")


if __name__ == "__main__":
    main()
