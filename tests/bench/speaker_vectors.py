"""Embeddings of waveforms by a speaker model's folder, for another bench: it runs on the code of any checkout.

PYTHONPATH=CHECKOUT PYTHON tests/bench/speaker_vectors.py FOLDER WAVEFORMS.npz VECTORS.npy
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch

from models.pretrained.kind import load_speaker
from models.speaker.trials import embed_all


def main(folder: str, waveforms: str, output: str) -> None:
    torch.set_num_threads(1)
    model = load_speaker(Path(folder))
    with np.load(waveforms) as file:
        clips = [file[name] for name in file.files]
    embed_all(model, clips[:1])
    started = time.process_time()
    vectors = embed_all(model, clips)
    seconds = time.process_time() - started
    np.save(output, vectors)
    print(f"{model.extractor_digest}\n{seconds}")


if __name__ == "__main__":
    main(*sys.argv[1:])
