"""Recall of emotions on clips cut short, by seconds of voiced sound.

    .venv/bin/python tests/bench/emotion_short.py CORPORA_DIR

CORPORA_DIR holds labels.csv (path, speaker, emotion). The middle of each clip is kept, of several lengths, and judged
by models not trained on its speaker (5 folds, the shipped recipe without copies, each clip by itself). What falls
below `tasks.workers.score.MIN_VOICED_S` gets no emotion.
"""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from tables import print_head, print_row

from models.emotion.dataset import FEATURE_NAMES, build_table, emotion_features, read_emotional_speech
from models.emotion.fitting import EmotionRecipe, fit
from models.emotion.model import CLASSES
from models.emotion.training import speaker_folds
from models.metrics.classification import uar

RATE = 16_000
LENGTHS_S = (0.25, 0.4, 0.6, 0.9, 1.3, 60.0)
EDGES_S = (0.0, 0.15, 0.25, 0.35, 0.5, 0.8, 1.2, 60.0)


def main() -> None:
    speech = read_emotional_speech([Path(sys.argv[1])], CLASSES)
    table, recipe = build_table(speech, CLASSES), EmotionRecipe(n_copies=0)
    folds = speaker_folds(table.speakers, recipe.folds)
    models = [fit(table.rows(folds != fold), recipe=recipe, seed=0) for fold in range(recipe.folds)]
    voiced_s, guessed = [], []
    for length_s in LENGTHS_S:
        cut = [middle(item.waveform, round(length_s * RATE)) for item in speech]
        features = emotion_features(cut)
        rate, mean_s = (FEATURE_NAMES.index(name) for name in ("VoicedSegmentsPerSec", "MeanVoicedSegmentLengthSec"))
        voiced_s.append((features[:, rate] * features[:, mean_s]).numpy() * [len(clip) / RATE for clip in cut])
        predicted = np.zeros(len(cut), int)
        for fold, model in enumerate(models):
            held = folds == fold
            predicted[held] = model.logits(model.standardise(features[held]), adapted=False).argmax(1).numpy()
        guessed.append(predicted)
    voiced, predicted, labels = np.concatenate(voiced_s), np.concatenate(guessed), np.tile(table.labels, len(LENGTHS_S))
    print_head("voiced sound, s", "clips", "UAR")
    for low, high in pairwise(EDGES_S):
        here = (voiced >= low) & (voiced < high)
        print_row(f"{low:g} to {high:g}", here.sum(), f"{uar(predicted[here], labels[here]):.2f}")


def middle(waveform: np.ndarray, n: int) -> np.ndarray:
    start = max(0, (len(waveform) - n) // 2)
    return waveform[start : start + n]


if __name__ == "__main__":
    main()
