"""Resemblyzer's embeddings of waveforms, a peer for another bench; `resemblyzer` is installed by hand.

    PYTHON tests/bench/resemblyzer_peer.py WAVEFORMS.npz VECTORS.npy

Its own preparation first (level, silences trimmed), unless that leaves less than a tenth of a second.
"""

import sys
import time

import numpy as np
import torch
from resemblyzer import VoiceEncoder, preprocess_wav

RATE = 16_000


def main(waveforms: str, output: str) -> None:
    torch.set_num_threads(1)
    encoder = VoiceEncoder("cpu", verbose=False)
    with np.load(waveforms) as file:
        clips = [file[name] for name in file.files]
    encoder.embed_utterance(clips[0])
    started = time.process_time()
    vectors = []
    for clip in clips:
        trimmed = preprocess_wav(clip, source_sr=RATE)
        vectors.append(encoder.embed_utterance(trimmed if len(trimmed) > 0.1 * RATE else clip))
    seconds = time.process_time() - started
    np.save(output, np.stack(vectors).astype(np.float32))
    print(f"Resemblyzer\n{seconds}")


if __name__ == "__main__":
    main(*sys.argv[1:])
