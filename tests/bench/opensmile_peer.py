"""openSMILE's eGeMAPSv02 of waveforms, a peer for other benches; `opensmile` is installed by hand.

    PYTHON tests/bench/opensmile_peer.py WAVEFORMS.npz FEATURES.npy [F0.npz]

F0.npz is for F0 by frame, in semitones, 0 where unvoiced. Its licence forbids the use in a product: it is no
dependency, and nothing that it computes is kept.
"""

import sys
import time

import numpy as np
import opensmile

RATE = 16_000
F0 = "F0semitoneFrom27.5Hz_sma3nz"


def main(waveforms: str, output: str, tracks: str = "") -> None:
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    with np.load(waveforms) as file:
        clips = [file[name] for name in file.files]
    smile.process_signal(clips[0], RATE)
    started = time.process_time()
    rows = [smile.process_signal(clip, RATE).to_numpy()[0] for clip in clips]
    seconds = time.process_time() - started
    np.save(output, np.stack(rows).astype(np.float64))
    if tracks:
        by_frame = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors)
        np.savez(tracks, *(by_frame.process_signal(clip, RATE)[F0].to_numpy() for clip in clips))
    print(f"openSMILE {opensmile.__version__}\n{seconds}")


if __name__ == "__main__":
    main(*sys.argv[1:])
