"""Gain of speaker adaptation, and its harm for speakers with little speech or one emotion only.

    .venv/bin/python tests/bench/emotion_adapted.py CORPORA_DIR

CORPORA_DIR holds labels.csv (path, speaker, emotion, corpus). Models not trained on a clip's speaker judge it (5
folds, the shipped recipe without copies), with the speakers as labelled, in pieces of a few clips, and in pieces
of one mood; beside plain normalisation, which takes each piece's own mean away.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tables import print_head, print_row

from models.emotion.dataset import Table, build_table, read_emotional_speech
from models.emotion.fitting import EmotionRecipe, fit
from models.emotion.model import CLASSES, EmotionModel
from models.emotion.training import predict_logits, speaker_folds
from models.metrics.classification import uar

Judge = Callable[[EmotionModel, Table, np.ndarray], np.ndarray]


def main() -> None:
    table, recipe = build_table(read_emotional_speech([Path(sys.argv[1])], CLASSES), CLASSES), EmotionRecipe(n_copies=0)
    folds = speaker_folds(table.speakers, recipe.folds)
    models = [fit(table.rows(folds != fold), recipe=recipe, seed=0) for fold in range(recipe.folds)]
    one = np.zeros(len(table), int)
    kinds = {
        "as labelled": table.speakers,
        "pieces of 8 clips": pieces(table.speakers, one, 8),
        "pieces of 4 clips": pieces(table.speakers, one, 4),
        "pieces of 1 clip": pieces(table.speakers, one, 1),
        "pieces of 5 clips of one mood": pieces(table.speakers, table.labels, 5),
        "pieces of one mood": pieces(table.speakers, table.labels, len(table)),
    }
    print_head("speakers", "UAR, Undertone", "plain normalisation")
    for label, speakers in kinds.items():
        found = []
        for judge in (ours, plain):
            predicted = np.zeros(len(table), int)
            for fold, model in enumerate(models):
                held = folds == fold
                predicted[held] = judge(model, table.rows(held), speakers[held])
            found.append(uar(predicted, table.labels))
        print_row(label, f"{found[0]:.3f}", f"{found[1]:.3f}")
    alone = np.zeros(len(table), int)
    for fold, model in enumerate(models):
        alone[folds == fold] = predict_logits(model, table.rows(folds == fold)).alone.argmax(1).numpy()
    print_row("not known, each clip by itself", f"{uar(alone, table.labels):.3f}", "")


def pieces(speakers: np.ndarray, moods: np.ndarray, size: int) -> np.ndarray:
    """(n,) names: a speaker's clips of a mood, at random in pieces of `size`."""
    random, names = np.random.default_rng(0), np.empty(len(speakers), object)
    for speaker, mood in sorted(set(zip(speakers, moods, strict=True))):
        own = random.permutation(np.flatnonzero((speakers == speaker) & (moods == mood)))
        for place, index in enumerate(own):
            names[index] = f"{speaker}/{mood}/{place // size}"
    return names.astype(str)


def ours(model: EmotionModel, table: Table, speakers: np.ndarray) -> np.ndarray:
    guessed: np.ndarray = predict_logits(model, table, speakers).adapted.argmax(1).numpy()
    return guessed


def plain(model: EmotionModel, table: Table, speakers: np.ndarray) -> np.ndarray:
    """Each piece without its mean."""
    values = model.standardise(table.values[0])
    for name in np.unique(speakers):
        own = torch.from_numpy(np.flatnonzero(speakers == name))
        values[own] -= values[own].mean(0)
    guessed: np.ndarray = model.class_posteriors(values).argmax(1).numpy()
    return guessed


if __name__ == "__main__":
    main()
