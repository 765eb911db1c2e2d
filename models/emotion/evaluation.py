"""How good is an emotion model on a labelled folder, without ever counting what it has seen as unseen?

    uar            each clip by itself
    uar_adaptive   adapted to the speakers that the pipeline itself finds, no label used: what a nightly run gives
    uar_oracle     adapted to the speakers of the labels: what better speaker identification could give

All return plain numbers for JSON, and one sentence, `protocol`, that says how they came about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.decode.config import SAMPLE_RATE
from models.data.emotion_labels import emotion_named
from models.data.labelled_speech import Speech
from models.data.training_set import seen_speakers
from models.emotion.dataset import Table, build_table, read_emotional_speech
from models.emotion.fitting import EmotionRecipe, fit
from models.emotion.model import EmotionModel
from models.emotion.training import predict_adapted_logits, predict_logits, speaker_folds
from models.metrics.bootstrap import interval_by_speaker
from models.metrics.classification import classification_metrics, uar
from models.speaker.linking import Decision, link_speakers
from models.speaker.protocol import SpeakerEncoder
from models.speaker.trials import embed_all

_MAX_LEAVE_ONE_OUT = 10  # speakers: with more, four folds


@dataclass(frozen=True)
class ClipPosteriors:
    """(n, n_classes) probabilities of clips, three ways."""

    alone: np.ndarray
    adaptive: np.ndarray
    oracle: np.ndarray


def evaluate_emotion(
    model: EmotionModel, folder: Path, *, speaker: SpeakerEncoder | None = None, seed: int = 0
) -> dict[str, Any]:
    """Judges the model on the clips of `folder` that carry one of its classes, with `speaker` to find who speaks.

    Clips of speakers that it was trained on are judged by models of the same recipe, trained on the folder's other
    speakers; the key `cross_validation` then holds the recipe's figures within and across corpora, and with every class
    that a corpus labels. Raises UsageError where nothing is labelled.
    """
    every = read_emotional_speech([folder], None)
    speech = [item for item in every if emotion_named(item.clip.emotion) in model.classes] or read_emotional_speech(
        [folder], model.classes
    )
    heard = seen_speakers(speech, model.trained_on)
    recipe = _recipe_of(model)
    if not heard:
        table = build_table(speech, model.classes)
        judged = score_clips(model, table, pipeline_speakers(speaker, speech))
        return _metrics(judged, table) | {
            "n_seen_in_training": 0,
            "protocol": f"the model as it is, on {len(table)} clips of speakers that it was not trained on",
            "by_corpus": _metrics_by_corpus(judged, table),
        }
    classes = sorted({emotion_named(item.clip.emotion) for item in every})
    wide = build_table(every, classes, n_copies=recipe.n_copies, seed=seed)
    found = pipeline_speakers(speaker, every)
    table, names = wide.with_classes(model.classes), found[np.isin(wide.labels, _class_indices(model.classes, wide))]
    seen = np.isin(table.speakers, list(heard))
    judged = score_clips(model, table, names)
    again = score_by_folds(table, names, recipe.folds, like=model, recipe=recipe, seed=seed)
    for mine, others in zip(vars(judged).values(), vars(again).values(), strict=True):
        mine[seen] = others[seen]
    return _metrics(judged, table) | {
        "n_seen_in_training": int(seen.sum()),
        "protocol": (
            f"{int(seen.sum())} of {len(table)} clips are of speakers in the model's training: those are scored by the "
            f"same recipe, trained on other speakers of this folder ({recipe.folds} folds of speakers), so that every "
            "figure is of speakers not heard"
        ),
        "by_corpus": _metrics_by_corpus(judged, table),
        "cross_validation": cross_validate(wide, found, model, recipe=recipe, seed=seed),
    }


def score_clips(model: EmotionModel, table: Table, found: np.ndarray) -> ClipPosteriors:
    """What the model says of the clips: alone, with the speakers `found` (n,), with those of the labels."""
    said = predict_logits(model, table)
    logits = (said.alone, predict_adapted_logits(model, table, found), said.adapted)
    temperatures = (model.temperature, model.adapted_temperature, model.adapted_temperature)
    return ClipPosteriors(
        *((each.double() / t).softmax(-1).numpy() for each, t in zip(logits, temperatures, strict=True))
    )


def score_by_folds(
    table: Table, found: np.ndarray, n_folds: int, *, like: EmotionModel, recipe: EmotionRecipe, seed: int
) -> ClipPosteriors:
    """The same by models that have not heard the clip's speaker."""
    folds = speaker_folds(table.speakers, n_folds)
    whole = ClipPosteriors(*(np.zeros((len(table), len(table.classes))) for _ in range(3)))
    for fold in np.unique(folds):
        held = folds == fold
        model = _fit_like(table.rows(~held), like, recipe=recipe, seed=seed)
        part = score_clips(model, table.rows(held), found[held])
        for all_rows, rows in zip(vars(whole).values(), vars(part).values(), strict=True):
            all_rows[held] = rows
    return whole


def cross_validate(
    wide: Table, found: np.ndarray, model: EmotionModel, *, recipe: EmotionRecipe, seed: int
) -> dict[str, Any]:
    """The recipe's figures within each corpus, with the model's classes and with all of its own, and across corpora."""
    result: dict[str, Any] = {}
    chosen = np.isin(wide.labels, _class_indices(model.classes, wide))
    table, names = wide.with_classes(model.classes), found[chosen]
    corpora = [str(name) for name in np.unique(table.corpora)]
    options: dict[str, Any] = {"like": model, "recipe": recipe, "seed": seed}
    for corpus in corpora:
        here, there = table.corpora == corpus, wide.corpora == corpus
        own = [wide.classes[label] for label in np.unique(wide.labels[there])]
        variants = {corpus: (table.rows(here), names[here])}
        if set(own) != set(model.classes):
            variants[f"{corpus}, {len(own)} classes"] = (wide.rows(there).with_classes(own), found[there])
        for label, (part, speakers) in variants.items():
            n_speakers = len(np.unique(part.speakers))
            n_folds = n_speakers if n_speakers <= _MAX_LEAVE_ONE_OUT else 4
            how = "leave one speaker out" if n_folds == n_speakers else f"{n_folds} folds of speakers"
            result[label] = _metrics(score_by_folds(part, speakers, n_folds, **options), part) | {
                "protocol": f"{how}, trained and tested within {corpus}"
            }
    for corpus in corpora if len(corpora) > 1 else []:
        held = table.corpora == corpus
        others = "+".join(other for other in corpora if other != corpus)
        trained = _fit_like(table.rows(~held), model, recipe=recipe, seed=seed)
        result[f"{others}->{corpus}"] = _metrics(
            score_clips(trained, table.rows(held), names[held]), table.rows(held)
        ) | {"protocol": f"trained on all of {others}, tested on all of {corpus}"}
    return result


def pipeline_speakers(model: SpeakerEncoder | None, speech: Sequence[Speech]) -> np.ndarray:
    """(n,) the names that the pipeline gives the clips' speakers, each clip a recording, each corpus a lake of its own.

    Without a model every clip is a speaker of its own.
    """
    names = np.array([item.recording_id for item in speech], dtype=object)
    if model is None:
        return names.astype(str)
    for corpus in sorted({item.clip.corpus for item in speech}):
        here = [index for index, item in enumerate(speech) if item.clip.corpus == corpus]
        waveforms = [speech[index].waveform for index in here]
        answer = link_speakers(
            [(speech[index].recording_id, 0, 0) for index in here],
            embed_all(model, waveforms),
            np.array([len(waveform) / SAMPLE_RATE for waveform in waveforms]),
            [],
            decision=Decision(model.threshold, *model.calibration),
            pseudonym_key=corpus,
        )
        names[here] = answer.speaker_ids
    return names.astype(str)


def _recipe_of(model: EmotionModel) -> EmotionRecipe:
    return EmotionRecipe(**model.training.get("recipe", {}))


def _fit_like(table: Table, like: EmotionModel, *, recipe: EmotionRecipe, seed: int) -> EmotionModel:
    """A model of the table, as sure of itself as another."""
    model = fit(table, recipe=recipe, seed=seed)
    model.temperature, model.adapted_temperature = like.temperature, like.adapted_temperature
    return model


def _class_indices(classes: Sequence[str], wide: Table) -> list[int]:
    return [wide.classes.index(name) for name in classes if name in wide.classes]


def _metrics(judged: ClipPosteriors, table: Table) -> dict[str, Any]:
    """Of clips by themselves; of the adapted ones beside them."""
    result = classification_metrics(judged.alone, table.labels, table.classes)
    result["uar_interval"] = _interval(judged.alone, table)
    for way in ("adaptive", "oracle"):
        scores = getattr(judged, way)
        result[f"uar_{way}"] = round(uar(scores.argmax(1), table.labels), 4)
        result[f"uar_{way}_interval"] = _interval(scores, table)
    adaptive = classification_metrics(judged.adaptive, table.labels, table.classes)
    result["adaptive"] = {key: adaptive[key] for key in ("accuracy", "per_class", "confusion", "log_loss", "ece")}
    return result | {"n_speakers": len(np.unique(table.speakers))}


def _metrics_by_corpus(judged: ClipPosteriors, table: Table) -> dict[str, Any]:
    result = {}
    for name in np.unique(table.corpora):
        here = table.corpora == name
        part = ClipPosteriors(*(rows[here] for rows in vars(judged).values()))
        result[str(name)] = _metrics(part, table.rows(here))
    return result


def _interval(scores: np.ndarray, table: Table) -> list[float]:
    guessed = scores.argmax(1)
    low, high = interval_by_speaker(lambda rows: uar(guessed[rows], table.labels[rows]), table.speakers)
    return [round(low, 4), round(high, 4)]
