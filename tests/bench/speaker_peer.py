"""EER of our speaker encoder, beside WeSpeaker's ResNet34 and Resemblyzer's d-vector.

    .venv/bin/python tests/bench/speaker_peer.py CORPORA_DIR... [--kept-out] [--model DIR] [--wespeaker FILE.ort]
        [--peer-python PATH]

Each CORPORA_DIR holds labels.csv (path, speaker, emotion, corpus). Voices of the model's training are left out, and
with --kept-out all that some shipped model may learn from; the speech that the pipeline's voice activity detection
finds, the same samples for all; the pairs of `models evaluate speaker`. Centred: the mean vector of each corpus taken
away. Resemblyzer is asked at --peer-python, into which it was installed by hand; it is no dependency.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from peers import resemblyzer_embeddings, wespeaker_embeddings
from tables import print_head, print_row

import models
from features.decode.config import SAMPLE_RATE
from models.data.kept_out import is_kept_out
from models.data.labelled_speech import Speech, read_speech
from models.data.labels_file import read_labels
from models.data.training_set import seen_speakers
from models.pretrained.kind import load_speaker
from models.speaker.identification import closed_set
from models.speaker.score_norm import cosines
from models.speaker.trials import Scores, Utterances, embed_all, halve_single_clips, pair_trials

LEARNT_FROM = ("librispeech_train-clean-100", "speech_commands")  # by shipped models, but for the voices kept out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path, nargs="+")
    parser.add_argument("--kept-out", action="store_true")
    parser.add_argument("--model", type=Path, default=Path(models.__file__).with_name("weights") / "speaker")
    parser.add_argument("--wespeaker", type=Path)
    parser.add_argument("--peer-python")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_speaker(options.model)
    clips = [clip for clip in read_labels(options.corpora) if clip.speaker]
    if options.kept_out:
        clips = [clip for clip in clips if clip.corpus not in LEARNT_FROM or is_kept_out(clip.speaker)]
    speech = list(read_speech(clips))
    seen = seen_speakers(speech, model.trained_on)
    unseen = halve_single_clips([item for item in speech if item.clip.speaker not in seen])
    waveforms = [item.waveform for item in unseen]
    embed_all(model, waveforms[:10])
    started = time.process_time()
    encoders = [("Undertone", embed_all(model, waveforms), time.process_time() - started)]
    if options.wespeaker:
        encoders.append(wespeaker_embeddings(waveforms, options.wespeaker))
    if options.peer_python:
        encoders.append(resemblyzer_embeddings(waveforms, options.peer_python))
    total_s = sum(map(len, waveforms)) / SAMPLE_RATE
    corpora = list(utterances_of(encoders[0][1], unseen).by_corpus())
    print(f"torch {torch.__version__}, one core; {len(unseen)} utterances, {total_s / 60:.1f} min of speech\n")
    print_head("EER (top-1)", *corpora, "all", "x real time")
    for label, vectors, seconds in encoders:
        utterances = utterances_of(vectors, unseen)
        print_row(f"{label}, cosine", *cells(utterances, cosines), f"{total_s / seconds:.0f}")
        if label == "Undertone" and model.normalised:
            print_row(f"{label}, as it scores", *cells(utterances, model.scores), "")
        print_row(f"{label}, centred", *cells(centred(utterances), cosines), "")


def cells(utterances: Utterances, scores: Scores) -> list[str]:
    parts = [*utterances.by_corpus().values(), utterances]
    return [f"{100 * pair_trials(part, scores).eer():.1f} ({closed_set(part, scores):.3f})" for part in parts]


def centred(utterances: Utterances) -> Utterances:
    vectors = utterances.vectors.copy()
    for name in np.unique(utterances.corpora):
        rows = utterances.corpora == name
        vectors[rows] -= vectors[rows].mean(0)
    return replace(utterances, vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def utterances_of(vectors: np.ndarray, speech: list[Speech]) -> Utterances:
    speakers, corpora = [item.clip.speaker for item in speech], [item.clip.corpus for item in speech]
    emotions = [item.clip.emotion for item in speech]
    return Utterances(vectors, np.array(speakers), np.array(corpora), np.array(emotions))


if __name__ == "__main__":
    main()
