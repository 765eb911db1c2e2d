"""Evaluation of an emotion model on a labelled folder; speakers of its training set are never scored as unseen.

    uar            each clip by itself
    uar_adaptive   adapted to the speakers that the pipeline itself finds, without labels, as in a nightly run with
                   `emotion_prior` balanced; uar_adaptive_natural: natural, the default
    uar_oracle     adapted to the speakers of the labels, the limit of better speaker identification

Plain numbers for JSON, and one sentence, `protocol`, on how they were measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_contracts.emotion_prior import NATURAL, expected_shares
from features.decode.config import SAMPLE_RATE
from models.data.emotion_labels import emotion_named
from models.data.labelled_speech import Speech
from models.data.training_set import seen_speakers
from models.emotion.dataset import Table, build_table, read_emotional_speech
from models.emotion.fitting import EmotionRecipe, fit
from models.emotion.model import EmotionModel
from models.emotion.speaker_adaptation import NO_SPEAKER, utterance_weight
from models.emotion.training import predict_adapted_logits, predict_logits, speaker_folds
from models.metrics.bootstrap import interval_by_speaker
from models.metrics.classification import classification_metrics, uar
from models.speaker.centring import night_centre
from models.speaker.decision import Decision
from models.speaker.linking import link_speakers
from models.speaker.protocol import SpeakerEncoder
from models.speaker.trials import embed_all

_KEPT = ("accuracy", "per_class", "confusion", "log_loss", "ece", "wrong_confidence")
_MAX_LEAVE_ONE_OUT = 10  # speakers: with more, four folds


@dataclass(frozen=True)
class ClipPosteriors:
    """Class posteriors (n, n_classes) of clips, in three ways."""

    alone: np.ndarray  # each clip by itself
    adaptive: np.ndarray  # with the speakers that the pipeline finds, all classes as likely
    natural: np.ndarray  # the same, with the shares of natural speech expected
    oracle: np.ndarray  # with the speakers of the labels


def evaluate_emotion(
    model: EmotionModel, folder: Path, *, speaker: SpeakerEncoder | None = None, seed: int = 0
) -> dict[str, Any]:
    """Evaluate the model on the clips of `folder` labelled with one of its classes; `speaker` finds the speakers.

    Clips of speakers in its training set are scored by models of the same recipe, trained on the folder's other
    speakers; the key `cross_validation` then holds the recipe's metrics within and across corpora, and with every class
    that a corpus labels. Raises UsageError where nothing is labelled.
    """
    labelled = read_emotional_speech([folder], None)
    speech = [item for item in labelled if emotion_named(item.clip.emotion) in model.classes] or read_emotional_speech(
        [folder], model.classes
    )
    seen = seen_speakers(speech, model.trained_on)
    recipe = _recipe_of(model)
    if not seen:
        table = build_table(speech, model.classes)
        posteriors = score_clips(model, table, pipeline_speakers(speaker, speech))
        return _metrics(posteriors, table) | {
            "n_seen_in_training": 0,
            "protocol": f"the model as it is, on {len(table)} clips of speakers that it was not trained on",
            "by_corpus": _metrics_by_corpus(posteriors, table),
        }
    classes = sorted({emotion_named(item.clip.emotion) for item in labelled})
    wide = build_table(labelled, classes, n_copies=recipe.n_copies, seed=seed)
    found = pipeline_speakers(speaker, labelled)
    names = found[np.isin(wide.labels, _class_indices(model.classes, wide))]
    table = wide.with_classes(model.classes)
    is_seen = np.isin(table.speakers, list(seen))
    posteriors = score_clips(model, table, names)
    refitted = score_by_folds(table, names, recipe.folds, like=model, recipe=recipe, seed=seed)
    for own, other in zip(vars(posteriors).values(), vars(refitted).values(), strict=True):
        own[is_seen] = other[is_seen]
    return _metrics(posteriors, table) | {
        "n_seen_in_training": int(is_seen.sum()),
        "protocol": (
            f"{int(is_seen.sum())} of {len(table)} clips are of speakers in the model's training: those are scored by "
            f"the same recipe, trained on other speakers of this folder ({recipe.folds} folds of speakers), so that "
            "every figure is of speakers not heard"
        ),
        "by_corpus": _metrics_by_corpus(posteriors, table),
        "cross_validation": cross_validate(wide, found, model, recipe=recipe, seed=seed),
    }


def score_clips(model: EmotionModel, table: Table, found: np.ndarray) -> ClipPosteriors:
    """Return the posteriors of the clips: alone, with the speakers `found` (n,), with those of the labels."""
    own, adapted = predict_logits(model, table), predict_adapted_logits(model, table, found)
    natural, balanced = expected_shares(NATURAL, model.classes), None
    return ClipPosteriors(
        alone=(own.alone.double() / model.temperature).softmax(-1).numpy(),
        adaptive=date_posteriors(model, table, adapted, found, balanced),
        natural=date_posteriors(model, table, adapted, found, natural),
        oracle=date_posteriors(model, table, own.adapted, table.speakers, balanced),
    )


def date_posteriors(
    model: EmotionModel, table: Table, logits: Tensor, speakers: np.ndarray, shares: Sequence[float] | None
) -> np.ndarray:
    """Return the posteriors (n, n_classes) of clips, each corpus a date of its own."""
    posteriors = np.zeros(logits.shape)
    weight = utterance_weight(torch.from_numpy(table.seconds))
    for corpus in np.unique(table.corpora):
        rows = np.flatnonzero(table.corpora == corpus)
        names = [str(speakers[row]) for row in rows]
        posteriors[rows] = model.date_posteriors(logits[rows], names, weight[rows], shares=shares).numpy()
    return posteriors


def score_by_folds(
    table: Table, found: np.ndarray, n_folds: int, *, like: EmotionModel, recipe: EmotionRecipe, seed: int
) -> ClipPosteriors:
    """Return the same from models whose training set lacks the clip's speaker."""
    folds = speaker_folds(table.speakers, n_folds)
    whole = ClipPosteriors(*(np.zeros((len(table), len(table.classes))) for _ in fields(ClipPosteriors)))
    for fold in np.unique(folds):
        is_held_out = folds == fold
        model = _fit_like(table.rows(~is_held_out), like, recipe=recipe, seed=seed)
        part = score_clips(model, table.rows(is_held_out), found[is_held_out])
        for all_rows, rows in zip(vars(whole).values(), vars(part).values(), strict=True):
            all_rows[is_held_out] = rows
    return whole


def cross_validate(
    wide: Table, found: np.ndarray, model: EmotionModel, *, recipe: EmotionRecipe, seed: int
) -> dict[str, Any]:
    """Return the recipe's metrics across corpora, and within each with the model's classes and with all of its own."""
    result: dict[str, Any] = {}
    has_class = np.isin(wide.labels, _class_indices(model.classes, wide))
    table, names = wide.with_classes(model.classes), found[has_class]
    corpora = [str(name) for name in np.unique(table.corpora)]
    options: dict[str, Any] = {"like": model, "recipe": recipe, "seed": seed}
    for corpus in corpora:
        in_table, in_wide = table.corpora == corpus, wide.corpora == corpus
        classes = [wide.classes[label] for label in np.unique(wide.labels[in_wide])]
        variants = {corpus: (table.rows(in_table), names[in_table])}
        if set(classes) != set(model.classes):
            variants[f"{corpus}, {len(classes)} classes"] = (wide.rows(in_wide).with_classes(classes), found[in_wide])
        for label, (part, speakers) in variants.items():
            n_speakers = len(np.unique(part.speakers))
            n_folds = n_speakers if n_speakers <= _MAX_LEAVE_ONE_OUT else 4
            scheme = "leave one speaker out" if n_folds == n_speakers else f"{n_folds} folds of speakers"
            result[label] = _metrics(score_by_folds(part, speakers, n_folds, **options), part) | {
                "protocol": f"{scheme}, trained and tested within {corpus}"
            }
    for corpus in corpora if len(corpora) > 1 else []:
        is_test = table.corpora == corpus
        others = "+".join(other for other in corpora if other != corpus)
        trained = _fit_like(table.rows(~is_test), model, recipe=recipe, seed=seed)
        result[f"{others}->{corpus}"] = _metrics(
            score_clips(trained, table.rows(is_test), names[is_test]), table.rows(is_test)
        ) | {"protocol": f"trained on all of {others}, tested on all of {corpus}"}
    return result


def pipeline_speakers(model: SpeakerEncoder | None, speech: Sequence[Speech]) -> np.ndarray:
    """Return the names (n,) that the pipeline gives the clips' speakers; a clip is a recording, a corpus a lake.

    Without a model every clip is a speaker of its own.
    """
    names = np.array([item.recording_id for item in speech], dtype=object)
    if model is None:
        return names.astype(str)
    decision = Decision.from_encoder(model)
    for corpus in sorted({item.clip.corpus for item in speech}):
        rows = [index for index, item in enumerate(speech) if item.clip.corpus == corpus]
        embeddings = embed_all(model, [speech[index].waveform for index in rows])
        seconds = np.array([len(speech[index].waveform) / SAMPLE_RATE for index in rows])
        identities = link_speakers(
            [(speech[index].recording_id, 0, index) for index in rows],
            embeddings,
            seconds,
            [],
            decision=decision,
            centre=night_centre(embeddings, seconds, decision),
            pseudonym_key=corpus,
        )
        names[rows] = [name or NO_SPEAKER for name in identities.speaker_ids]
    return names.astype(str)


def _recipe_of(model: EmotionModel) -> EmotionRecipe:
    """Return the recipe of the model's training; today's, where that was an earlier one."""
    stored, known = model.training.get("recipe", {}), {field.name for field in fields(EmotionRecipe)}
    if not stored.keys() <= known:
        return EmotionRecipe()
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
    return EmotionRecipe(**values)


def _fit_like(table: Table, like: EmotionModel, *, recipe: EmotionRecipe, seed: int) -> EmotionModel:
    """Fit a model to the table, with the temperatures of another."""
    model = fit(table, recipe=recipe, seed=seed)
    model.temperature, model.adapted_temperature = like.temperature, like.adapted_temperature
    model.statistics = like.statistics if model.classes == like.classes else None
    return model


def _class_indices(classes: Sequence[str], wide: Table) -> list[int]:
    return [wide.classes.index(name) for name in classes if name in wide.classes]


def _metrics(posteriors: ClipPosteriors, table: Table) -> dict[str, Any]:
    """Return the metrics of clips by themselves, and beside them those of the adapted posteriors."""
    result = classification_metrics(posteriors.alone, table.labels, table.classes)
    result["uar_interval"] = _interval(posteriors.alone, table)
    for way, name in (("adaptive", "adaptive"), ("natural", "adaptive_natural"), ("oracle", "oracle")):
        scores = getattr(posteriors, way)
        result[f"uar_{name}"] = round(uar(scores.argmax(1), table.labels), 4)
        result[f"uar_{name}_interval"] = _interval(scores, table)
    for way in ("adaptive", "natural"):
        metrics = classification_metrics(getattr(posteriors, way), table.labels, table.classes)
        result[way] = {key: metrics[key] for key in _KEPT}
    return result | {"n_speakers": len(np.unique(table.speakers))}


def _metrics_by_corpus(posteriors: ClipPosteriors, table: Table) -> dict[str, Any]:
    result = {}
    for name in np.unique(table.corpora):
        in_corpus = table.corpora == name
        part = ClipPosteriors(*(rows[in_corpus] for rows in vars(posteriors).values()))
        result[str(name)] = _metrics(part, table.rows(in_corpus))
    return result


def _interval(scores: np.ndarray, table: Table) -> list[float]:
    predicted = scores.argmax(1)
    low, high = interval_by_speaker(lambda rows: uar(predicted[rows], table.labels[rows]), table.speakers)
    return [round(low, 4), round(high, 4)]
