"""Thresholds, calibrations and figures of a speaker encoder, from voices held out of its training."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from data_contracts.errors import UsageError
from features.decode.config import SAMPLE_RATE
from models.data.labelled_speech import Speech, manifest_digest
from models.speaker.identification import closed_set
from models.speaker.log_odds import fit_log_odds
from models.speaker.model import SpeakerModel
from models.speaker.recipe import SpeakerRecipe
from models.speaker.score_norm import Cohort, speaker_means
from models.speaker.trials import Utterances, embed_speech, halve_single_clips, pair_trials, shorten_every_second


def calibrate(
    model: SpeakerModel, training: Sequence[Speech], unseen: Sequence[Speech], *, recipe: SpeakerRecipe, seed: int
) -> None:
    """Set the model's threshold, calibration, log odds and cohort, and the centre of the training's voices.

    All but the centre come from pairs of mixed lengths, as in a night: some clips whole, others cut.
    """
    mixed = shorten_every_second(halve_single_clips(unseen), lengths_s=recipe.lengths_s, seed=seed)
    utterances = embed_speech(model, mixed)
    trials = pair_trials(utterances)
    model.threshold, model.calibration = trials.threshold(recipe.false_accept_rate), trials.calibration()
    seconds = np.array([len(item.waveform) / SAMPLE_RATE for item in mixed])
    model.log_odds = fit_log_odds(
        centred_by_corpus(utterances), utterances.speakers, utterances.corpora, seconds, seed=seed
    )
    seen = embed_speech(model, training)
    model.centre = np.mean([seen.vectors[seen.corpora == name].mean(0) for name in np.unique(seen.corpora)], axis=0)
    labelled = seen.rows(seen.speakers != "")
    cohort = Cohort(speaker_means(labelled.vectors, labelled.speakers), recipe.cohort_nearest)
    trials = pair_trials(utterances, cohort.scores)
    model.cohort = dataclasses.replace(
        cohort, threshold=trials.threshold(recipe.false_accept_rate), calibration=trials.calibration()
    )
    model.normalised = recipe.normalised


def centred_by_corpus(utterances: Utterances) -> np.ndarray:
    """Return the vectors, (n, dim) of unit length, less the mean of their corpus' speakers."""
    vectors = utterances.vectors.astype(np.float64)
    for name in np.unique(utterances.corpora):
        rows = utterances.corpora == name
        vectors[rows] -= speaker_means(utterances.vectors[rows], utterances.speakers[rows]).mean(0)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9))


def measure(model: SpeakerModel, unseen: Sequence[Speech]) -> dict[str, Any]:
    """Return the metrics of all pairs of the voices."""
    utterances = embed_speech(model, halve_single_clips(unseen))
    metrics = pair_trials(utterances, model.scores).metrics()
    return metrics | {"top1": round(closed_set(utterances, model.scores), 4)}


def training_record(
    training: Sequence[Speech], held_out: Sequence[Speech], *, recipe: SpeakerRecipe, seed: int
) -> dict[str, Any]:
    """Return what a model's folder says of its training."""
    corpora = sorted({item.clip.corpus for item in training})
    return {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "n_clips": len(training),
        "n_speakers": len({item.clip.speaker for item in training if item.clip.speaker}),
        "minutes": round(sum(len(item.waveform) for item in training) / SAMPLE_RATE / 60, 1),
        "corpora": corpora,
        "licences": {
            corpus: sorted({item.clip.licence for item in training if item.clip.corpus == corpus}) for corpus in corpora
        },
        "manifest": manifest_digest(training),
        "held_out_speakers": sorted({item.clip.speaker for item in held_out}),
        "false_accept_rate": recipe.false_accept_rate,
    }


def held_out_speakers(speech: Sequence[Speech], *, share: float, seed: int) -> set[str]:
    """Return the speakers to hold out of training: `share` of each corpus, at least two."""
    held_out: set[str] = set()
    for corpus in sorted({item.clip.corpus for item in speech}):
        names = sorted({item.clip.speaker for item in speech if item.clip.corpus == corpus})
        n = max(2, math.ceil(share * len(names)))
        if len(names) < n + 2:
            raise UsageError(
                f"expected at least {n + 2} speakers in the corpus {corpus!r}, {n} of them to hold out; "
                f"found {len(names)}: add speakers, or leave that corpus out"
            )
        order = np.random.default_rng([seed, len(names)]).permutation(len(names))
        held_out |= {names[index] for index in order[:n]}
    return held_out
