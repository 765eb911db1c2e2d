"""EER of our speaker encoder, beside a pretrained d-vector where it is installed.

    .venv/bin/python tests/bench/speaker_peer.py CORPORA_DIR [--model DIR] [--peer-python PATH]

CORPORA_DIR holds labels.csv (path, speaker, emotion, corpus). Voices of the model's training are left out; the speech
that the pipeline's voice activity detection finds, the same samples for both; the pairs of `models evaluate speaker`.
Resemblyzer is asked at --peer-python, into which it was installed by hand; it is no dependency.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from peers import resemblyzer_embeddings
from tables import print_head, print_row

import models
from features.decode.config import SAMPLE_RATE
from models.data.labelled_speech import Speech, read_speech
from models.data.labels_file import read_labels
from models.data.training_set import seen_speakers
from models.speaker.identification import closed_set
from models.speaker.model import SpeakerModel
from models.speaker.score_norm import cosines
from models.speaker.trials import Utterances, embed_all, halve_single_clips, pair_trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--model", type=Path, default=Path(models.__file__).with_name("weights") / "speaker")
    parser.add_argument("--peer-python")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = SpeakerModel.load(options.model)
    speech = list(read_speech([clip for clip in read_labels([options.corpora]) if clip.speaker]))
    seen = seen_speakers(speech, model.trained_on)
    unseen = halve_single_clips([item for item in speech if item.clip.speaker not in seen])
    waveforms = [item.waveform for item in unseen]
    embed_all(model, waveforms[:10])
    started = time.process_time()
    ours, seconds = embed_all(model, waveforms), time.process_time() - started
    rows = {
        "Undertone, cosine": (ours, seconds, cosines),
        "Undertone, as it scores": (ours, seconds, model.scores),
    }
    if options.peer_python:
        label, vectors, seconds = resemblyzer_embeddings(waveforms, options.peer_python)
        rows[label] = (vectors, seconds, cosines)
    total_s = sum(map(len, waveforms)) / SAMPLE_RATE
    corpora = list(utterances_of(ours, unseen).by_corpus())
    print(f"torch {torch.__version__}, one core; {len(unseen)} utterances, {total_s / 60:.1f} min of speech\n")
    print_head("EER (top-1)", *corpora, "all", "x real time")
    for label, (vectors, seconds, scores) in rows.items():
        utterances = utterances_of(vectors, unseen)
        parts = [*utterances.by_corpus().values(), utterances]
        cells = [f"{pair_trials(part, scores).eer():.3f} ({closed_set(part, scores):.3f})" for part in parts]
        print_row(label, *cells, f"{total_s / seconds:.0f}")


def utterances_of(vectors: np.ndarray, speech: list[Speech]) -> Utterances:
    speakers, corpora = [item.clip.speaker for item in speech], [item.clip.corpus for item in speech]
    emotions = [item.clip.emotion for item in speech]
    return Utterances(vectors, np.array(speakers), np.array(corpora), np.array(emotions))


if __name__ == "__main__":
    main()
