"""Error of the estimated SNR of real speech with noise added; speech as Silero finds it.

    .venv/bin/python tests/bench/snr.py [--clips 12]

Speech from ../shared/corpora at 16 kHz. The true SNR is the mean power of the chunks that hold speech before noise is
added over the noise's mean power. The clips have noise of their own ("as it is": the estimate without any added), so
that at 30 dB the true SNR is lower than what was added. Babble is six readers of librispeech at once.
"""

import argparse

import numpy as np
import torch
from corpora import SHARED, speech
from tables import print_head, print_machine, print_row

from features.dsp.batching import pad_batch
from features.quality.snr import snr_db
from features.segmentation.config import CHUNK, VadConfig
from features.segmentation.silero_vad import speech_probabilities

RATE = 16_000
SNRS_DB = (0, 5, 10, 20, 30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=12, help="of each corpus")
    options = parser.parse_args()
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    print_machine()
    print(f"data: {SHARED.name}, {options.clips} clips of each corpus; error in dB: median (10 % to 90 %)\n")
    heads = [f"{snr} dB" for snr in SNRS_DB]
    print_head("speech", "noise", *heads, "as it is")
    readers = np.concatenate(speech("librispeech_train-clean-100", 40))
    for corpus in ("emodb", "ravdess", "librispeech_train-clean-100"):
        clips = [clip[: 12 * RATE] for clip in speech(corpus, options.clips)]
        spoken = [mask if mask.any() else ~mask for mask in found(clips)]
        own = [snr_db(power(clip), mask) for clip, mask in zip(clips, spoken, strict=True)]
        for kind in ("white", "pink", "babble"):
            errors = []
            for snr in SNRS_DB:
                noisy = []
                for clip, mask in zip(clips, spoken, strict=True):
                    level = np.sqrt(power(clip)[mask].mean()) * 10 ** (-snr / 20)
                    noisy.append((clip + level * noise(kind, len(clip), random, readers)).astype(np.float32))
                estimates = [snr_db(power(clip), mask) for clip, mask in zip(noisy, found(noisy), strict=True)]
                errors.append([estimate - snr for estimate in estimates if estimate is not None])
            cells = " | ".join(summary(errors_db, signed=True) for errors_db in errors)
            as_it_is = summary([value for value in own if value is not None], signed=False)
            print_row(corpus, kind, cells, as_it_is)


def found(clips: list[np.ndarray]) -> list[np.ndarray]:
    """(chunks,) bool of each: where Silero hears speech."""
    waveform, lengths = pad_batch(clips, torch.device("cpu"))
    rows = speech_probabilities(waveform, lengths).numpy() >= VadConfig().threshold
    return [row[: -(-len(clip) // CHUNK)] for row, clip in zip(rows, clips, strict=True)]


def power(samples: np.ndarray) -> np.ndarray:
    chunks = np.pad(samples, (0, -len(samples) % CHUNK)).reshape(-1, CHUNK)
    return np.square(chunks, dtype=np.float64).mean(axis=1)


def noise(kind: str, n: int, random: np.random.Generator, readers: np.ndarray) -> np.ndarray:
    """(n,) of mean square 1."""
    made = random.standard_normal(n)
    if kind == "pink":
        spectrum = np.fft.rfft(made)
        made = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), n)
    if kind == "babble":
        starts = random.integers(0, len(readers) - n, 6)
        made = sum(readers[start : start + n] / readers[start : start + n].std() for start in starts)
    return made / made.std()


def summary(values: list[float], *, signed: bool) -> str:
    median, low, high = np.quantile(values, [0.5, 0.1, 0.9])
    return f"{median:+.1f} ({low:+.1f} to {high:+.1f})" if signed else f"{median:.0f} ({low:.0f} to {high:.0f})"


if __name__ == "__main__":
    main()
