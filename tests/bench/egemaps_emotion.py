"""UAR of a plain emotion classifier on our 88 functionals, beside openSMILE's where it is installed.

    .venv/bin/python tests/bench/egemaps_emotion.py CORPORA_DIR [--peer-python PATH]

CORPORA_DIR holds labels.csv (path, corpus, speaker, emotion) with the corpora `emodb` and `ravdess`. Whole clips at
16 kHz, the same samples for both; StandardScaler and LinearSVC(C=0.01, class_weight="balanced"); nobody is on both
sides of a fold. openSMILE is asked where this Python, or the one at --peer-python, has the package `opensmile`.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np
import sklearn
import torch
from peers import opensmile_egemaps
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from tables import print_head, print_row

from features.decode.config import SAMPLE_RATE
from features.decode.recording import Decoded, decode
from features.dsp.batching import pad_batch, sorted_batches
from features.dsp.gemaps import egemaps
from models.data.labels_file import Clip, read_labels

PROTOCOLS = {
    "emodb": ("leave one speaker out", LeaveOneGroupOut()),
    "ravdess": ("4 folds of actors", GroupKFold(4)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--peer-python", default=sys.executable if importlib.util.find_spec("opensmile") else None)
    options = parser.parse_args()
    clips = {name: [] for name in PROTOCOLS}
    for clip in read_labels([options.corpora]):
        if clip.corpus in clips and clip.emotion:
            clips[clip.corpus].append(clip)
    waveforms_of = {name: [waveform_of(clip) for clip in chosen] for name, chosen in clips.items()}
    rows = {"Undertone": {name: ours(waveforms) for name, waveforms in waveforms_of.items()}}
    if options.peer_python:
        answers = {name: opensmile_egemaps(waveforms, options.peer_python) for name, waveforms in waveforms_of.items()}
        rows[answers["emodb"][0]] = {name: values for name, (_, values, _, _) in answers.items()}
    print(f"UAR; scikit-learn {sklearn.__version__}, torch {torch.__version__}\n")
    headings = [f"{name}, {len(chosen)} clips, {PROTOCOLS[name][0]}" for name, chosen in clips.items()]
    print_head("eGeMAPS of", *headings)
    for label, values in rows.items():
        print_row(label, *(f"{uar(values[name], clips[name], name):.3f}" for name in clips))


def waveform_of(clip: Clip) -> np.ndarray:
    """The whole clip, (time,) float32 at 16 kHz."""
    audio = decode(clip.path.read_bytes())
    if not isinstance(audio, Decoded):
        sys.exit(f"{clip.path}: {audio.error}")
    return audio.waveform


def ours(waveforms: list[np.ndarray]) -> np.ndarray:
    """(n, 88), in batches as the pipeline makes them."""
    values = np.empty((len(waveforms), 88), np.float32)
    for batch in sorted_batches([len(waveform) for waveform in waveforms], max_samples=160 * SAMPLE_RATE):
        values[batch] = egemaps(*pad_batch([waveforms[index] for index in batch], torch.device("cpu"))).numpy()
    return values


def uar(values: np.ndarray, clips: list[Clip], corpus: str) -> float:
    """The mean recall of the classes over all clips, each guessed by a model not trained on its speaker."""
    labels, speakers = [clip.emotion for clip in clips], [clip.speaker for clip in clips]
    model = make_pipeline(StandardScaler(), LinearSVC(C=0.01, class_weight="balanced"))
    predicted = cross_val_predict(model, values, labels, groups=speakers, cv=PROTOCOLS[corpus][1])
    return recall_score(labels, predicted, average="macro")


if __name__ == "__main__":
    main()
