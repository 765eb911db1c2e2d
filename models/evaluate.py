"""How good the models are, on labelled folders, without ever counting what they have seen as unseen.

    evaluate_emotion(model, folder)          UAR, recall a class, confusion; by corpus
    cross_validate_emotion(folders)          the recipe instead of one model: within, across and over corpora
    evaluate_speaker(model, folder)          EER, min DCF, top-1; by corpus

All return plain numbers for JSON, and one sentence, `protocol`, that says how they came about.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from data_contracts.errors import UsageError
from models.classification import classification_metrics
from models.emotion import CLASSES, EmotionModel
from models.labels import Speech, read_labels, read_speech
from models.speaker import SpeakerModel
from models.train_emotion import Recipe, Table, fit, out_of_fold, read_table, speaker_folds
from models.verification import trials_between

_RECIPE = Recipe()
_LEAVE_ONE_OUT = 10  # speakers: with more, four folds


def evaluate_emotion(model: EmotionModel, folder: Path, *, recipe: Recipe = _RECIPE, seed: int = 0) -> dict[str, Any]:
    """Judges the model on the clips of `folder` that carry one of its classes.

    Clips of speakers that it was trained on are scored by the same recipe, trained on other speakers of the folder; the
    key `cross_validation` then holds `cross_validate_emotion` too. Raises UsageError where nothing is labelled.
    """
    table = read_table([folder], recipe=recipe, seed=seed, classes=model.classes)
    seen = np.isin(table.speakers, list(_heard(table.speakers, table.recordings, model.trained_on)))
    scores = model.scores(table.values[0]).numpy()
    if seen.any():
        logits = out_of_fold(table, speaker_folds(table.speakers, recipe.folds), recipe=recipe, seed=seed)
        scores[seen] = _softmax(logits / model.temperature)[seen]
    result = _emotion_metrics(scores, table, model.classes) | {
        "n_seen_in_training": int(seen.sum()),
        "protocol": _emotion_protocol(len(table), int(seen.sum()), recipe.folds),
        "by_corpus": {
            str(name): _emotion_metrics(scores[table.corpora == name], table.rows(table.corpora == name), model.classes)
            for name in np.unique(table.corpora)
        },
    }
    if seen.any():
        result["cross_validation"] = _cross_validate(table, recipe=recipe, seed=seed)
    return result


def cross_validate_emotion(folders: Sequence[Path], *, recipe: Recipe = _RECIPE, seed: int = 0) -> dict[str, Any]:
    """The recipe, judged on speakers that it has not heard: within each corpus, and from one corpus to another.

    Raises UsageError where nothing is labelled, or a corpus has one speaker.
    """
    return _cross_validate(read_table(folders, recipe=recipe, seed=seed), recipe=recipe, seed=seed)


def _cross_validate(table: Table, *, recipe: Recipe, seed: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    names = [str(name) for name in np.unique(table.corpora)]
    for name in names:
        part = table.rows(table.corpora == name)
        n_speakers = len(np.unique(part.speakers))
        n_folds = n_speakers if n_speakers <= _LEAVE_ONE_OUT else 4
        logits = out_of_fold(part, speaker_folds(part.speakers, n_folds), recipe=recipe, seed=seed)
        how = "leave one speaker out" if n_folds == n_speakers else f"{n_folds} folds of speakers"
        protocol = f"{how}, trained and tested within {name}"
        result[name] = _emotion_metrics(_softmax(logits), part, CLASSES) | {"protocol": protocol}
    for name in names if len(names) > 1 else []:
        held = table.corpora == name
        logits = fit(table.rows(~held), recipe=recipe, seed=seed).logits(table.rows(held).values[0])
        others = "+".join(other for other in names if other != name)
        protocol = f"trained on all of {others}, tested on all of {name}"
        result[f"{others}->{name}"] = _emotion_metrics(_softmax(logits), table.rows(held), CLASSES) | {
            "protocol": protocol
        }
    return result


def evaluate_speaker(model: SpeakerModel, folder: Path) -> dict[str, Any]:
    """Judges the encoder on pairs of the speech in `folder`, voices that it was trained on left out.

    At the model's own threshold: the share of others accepted, and of same voices rejected. Raises UsageError where
    too little is left.
    """
    speech = list(read_speech([clip for clip in read_labels([folder]) if clip.speaker]))
    names, recordings = [item.clip.speaker for item in speech], [item.recording_id for item in speech]
    heard = _heard(names, recordings, model.trained_on)
    unseen = [item for item in speech if item.clip.speaker not in heard]
    if not unseen:
        raise UsageError(
            f"expected speech that the model was not trained on; found {len(speech)} clips in {folder}, none of them "
            "new to it: evaluate on other recordings"
        )
    result = _speaker_metrics(model, unseen) | {
        "n_seen_in_training": len(speech) - len(unseen),
        "protocol": (
            "every pair of clips within each corpus, corpora weighted alike, "
            f"{len(speech) - len(unseen)} of {len(speech)} clips left out: the model was trained on their voices; "
            "a speaker's only clip is cut in two; top-1 enrols each speaker with one clip"
        ),
    }
    corpora: dict[str, list[Speech]] = {}
    for item in unseen:
        corpora.setdefault(item.clip.corpus, []).append(item)
    result["by_corpus"] = {
        name: _speaker_metrics(model, items)
        for name, items in sorted(corpora.items())
        if len({item.clip.speaker for item in items}) > 1
    }
    return result


def _heard(speakers: Iterable[str], recordings: Iterable[str], trained_on: frozenset[str]) -> set[str]:
    """The speakers of whom training had any recording: their other clips are not of unheard speakers either."""
    return {speaker for speaker, recording in zip(speakers, recordings, strict=True) if recording in trained_on}


def _emotion_metrics(scores: np.ndarray, table: Table, classes: Sequence[str]) -> dict[str, Any]:
    n_speakers = len(np.unique(table.speakers))
    return classification_metrics(scores, table.labels, classes) | {"n_speakers": n_speakers}


def _emotion_protocol(n: int, n_seen: int, n_folds: int) -> str:
    if not n_seen:
        return f"the model as it is, on {n} clips of speakers that it was not trained on"
    return (
        f"{n_seen} of {n} clips are of speakers in the model's training: those are scored by the same recipe, trained "
        f"on other speakers of this folder ({n_folds} folds of speakers), so that every figure is of speakers not heard"
    )


def _speaker_metrics(model: SpeakerModel, speech: Sequence[Speech]) -> dict[str, Any]:
    trials = trials_between(model, speech)
    accepted = trials.cosines >= model.threshold
    return trials.metrics() | {
        "n": len(speech),
        "n_speakers": len({item.clip.speaker for item in speech}),
        "threshold": round(model.threshold, 4),
        "false_accepts": round(float(trials.weights[accepted & ~trials.same].sum()), 4),
        "false_rejects": round(float(trials.weights[~accepted & trials.same].sum()), 4),
    }


def _softmax(logits: Tensor) -> np.ndarray:
    probabilities: np.ndarray = logits.double().softmax(-1).numpy()
    return probabilities
