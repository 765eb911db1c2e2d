"""Voice activity by energy beside Silero's, on real clips: the share of the time on which they agree.

    .venv/bin/python tests/bench/energy_vad.py [--clips 40]

Speech from ../shared/corpora, as it is and with white noise at 15 dB. Chunks are 32 ms, at the threshold that opens a
segment; segments are those of the default VadConfig. Found: of Silero's segments, the share that energy has too;
added: of the time outside of them, the share that energy takes for speech.
"""

import argparse

import numpy as np
import soxr
import torch
from bandwidth import noise, speech
from corpora import SHARED
from tables import print_head, print_machine, print_row

from features.dsp.batching import pad_batch
from features.segmentation.config import CHUNK, VadConfig
from features.segmentation.energy_vad import energy_probabilities
from features.segmentation.segments import speech_segments
from features.segmentation.silero_vad import speech_probabilities

RATE = 16_000
CONFIG = VadConfig()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=40, help="of each corpus")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_machine()
    print(f"data: {SHARED.name}, {options.clips} clips of each corpus\n")
    print_head("speech", "chunks agree", "segments agree", "found", "added")
    for corpus in ("emodb", "ravdess", "librispeech_train-clean-100", "fsdd"):
        rate = 8_000 if corpus == "fsdd" else RATE
        clips = [soxr.resample(clip, rate, RATE) for clip in speech(corpus, options.clips, rate)]
        noisy = [clip + 10 ** (-15 / 20) * clip.std() * noise(len(clip)) for clip in clips]
        for name, clips_of_row in ((corpus, clips), (f"{corpus}, white noise at 15 dB", noisy)):
            print_row(name, *(f"{share:.1%}" for share in compared(clips_of_row)))


def compared(clips: list[np.ndarray]) -> tuple[float, float, float, float]:
    waveform, lengths = pad_batch([clip.astype(np.float32) for clip in clips], torch.device("cpu"))
    rows = [find(waveform, lengths).numpy() for find in (energy_probabilities, speech_probabilities)]
    counts = [-(-len(clip) // CHUNK) for clip in clips]
    chunks = [np.concatenate([p[:n] >= CONFIG.threshold for p, n in zip(row, counts, strict=True)]) for row in rows]
    segments = [
        np.concatenate([in_segments(p[:n], len(clip)) for p, n, clip in zip(row, counts, clips, strict=True)])
        for row in rows
    ]
    energy, silero = segments
    return (chunks[0] == chunks[1]).mean(), (energy == silero).mean(), energy[silero].mean(), energy[~silero].mean()


def in_segments(probabilities: np.ndarray, n_samples: int) -> np.ndarray:
    """(chunks,) bool."""
    inside = np.zeros(len(probabilities), bool)
    for span in speech_segments(probabilities, seconds=n_samples / RATE, config=CONFIG):
        inside[round(span.start_s * RATE / CHUNK) : round(span.end_s * RATE / CHUNK)] = True
    return inside


if __name__ == "__main__":
    main()
