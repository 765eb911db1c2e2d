"""Evaluation of a speaker encoder on a labelled folder, on voices outside its training set.

Pairs of utterances (EER, min DCF, the model's own threshold and probability), closed and open sets of enrolled voices;
by corpus, by length, across emotions. Plain numbers for JSON, and one sentence, `protocol`, on how they were measured.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_contracts.errors import UsageError
from models.data.labelled_speech import Speech, read_speech
from models.data.labels_file import read_labels
from models.data.training_set import seen_speakers
from models.speaker.identification import closed_set, open_set
from models.speaker.protocol import SpeakerEncoder
from models.speaker.trials import (
    Utterances,
    cut_to_length,
    embed_speech,
    halve_single_clips,
    pair_trials,
    utterance_pairs,
)
from models.speaker.verification import Trials

LENGTHS_S = (1, 2, 4, 8)


def evaluate_speaker(model: SpeakerEncoder, folder: Path) -> dict[str, Any]:
    """Evaluate the encoder on pairs of the speech in `folder`, without voices that it was trained on.

    At the model's own threshold: the share of other voices accepted, and of same voices rejected. Raises UsageError
    where too little speech is left.
    """
    speech = list(read_speech([clip for clip in read_labels([folder]) if clip.speaker]))
    seen = seen_speakers(speech, model.trained_on)
    unseen = [item for item in speech if item.clip.speaker not in seen]
    if not unseen:
        raise UsageError(
            f"expected speech that the model was not trained on; found {len(speech)} clips in {folder}, none of them "
            "new to it: evaluate on other recordings"
        )
    utterances = embed_speech(model, halve_single_clips(unseen))
    n_seen = len(speech) - len(unseen)
    return evaluate_utterances(model, utterances) | {
        "n": len(unseen),
        "n_seen_in_training": n_seen,
        "by_corpus": {name: evaluate_utterances(model, part) for name, part in utterances.by_corpus().items()},
        "by_length": evaluate_by_length(model, unseen),
        "across_emotions": evaluate_across_emotions(model, utterances),
        "scores": "adaptive s-norm" if model.normalised else "cosine",
        "cosine": _evaluate_cosines(model, utterances),
        "protocol": (
            f"{'scores against the cohort of training voices' if model.normalised else 'cosines'} (`cosine`: cosines, "
            "which link the voices of a night); every pair of clips within each corpus, corpora weighted alike, "
            f"{n_seen} of {len(speech)} clips left out: the model was trained on their voices; a speaker's only clip "
            "is cut in two; intervals: 95%, speakers drawn again; top-1 enrolls each speaker with one clip; open set: "
            "half of a corpus's speakers enrolled with one clip each, 50 draws, at 1% of the strangers' clips named; "
            "by length: both sides cut to it, shorter clips of a speaker joined first"
        ),
    }


def evaluate_utterances(model: SpeakerEncoder, utterances: Utterances) -> dict[str, Any]:
    """Return the metrics of all pairs, of the model's threshold and calibration, and of enrolled voices."""
    trials = pair_trials(utterances, model.scores)
    threshold, calibration = model.decision
    return {
        "eer": round(trials.eer(), 4),
        "min_dcf": round(trials.min_dcf(), 4),
        "top1": round(closed_set(utterances, model.scores), 4),
        "n_trials": len(trials.scores),
        "n_same": int(trials.same.sum()),
        "n_speakers": len(np.unique(utterances.speakers)),
        "intervals": trials.intervals(),
        "open_set": open_set(utterances, model.scores),
        "threshold": round(threshold, 4),
        "calibration_error": round(trials.calibration_error(calibration), 4),
        "log_cost": round(trials.log_cost(calibration), 4),
    } | _rates(trials, threshold)


def evaluate_by_length(
    model: SpeakerEncoder, speech: Sequence[Speech], lengths_s: Sequence[float] = LENGTHS_S
) -> dict[str, Any]:
    """Return the metrics of pairs of one length, by seconds; None where the speech does not suffice for pairs."""
    found: dict[str, Any] = {}
    for seconds in lengths_s:
        cut = cut_to_length(speech, seconds)
        utterances = embed_speech(model, cut) if cut else None
        if utterances is None or not utterances.by_corpus():
            found[f"{seconds:g}"] = None
            continue
        trials = pair_trials(utterances, model.scores)
        found[f"{seconds:g}"] = trials.metrics() | _rates(trials, model.decision[0])
        found[f"{seconds:g}"]["eer_by_corpus"] = {
            name: round(pair_trials(part, model.scores).eer(), 4) for name, part in utterances.by_corpus().items()
        }
    return found


def evaluate_across_emotions(model: SpeakerEncoder, utterances: Utterances) -> dict[str, Any] | None:
    """Return the metrics of same-voice pairs in the same and in different emotions.

    Each is set against all pairs of different voices of their corpora.
    None where no corpus has labelled emotions of both kinds.
    """
    labelled = utterances.rows(utterances.emotions != "")
    same_emotion, other_emotion = [], []
    for part in labelled.by_corpus().values():
        first, second = utterance_pairs(part)
        alike = part.emotions[first] == part.emotions[second]
        trials = pair_trials(part, model.scores)
        if (trials.same & alike).any() and (trials.same & ~alike).any():
            same_emotion.append(trials.select(alike | ~trials.same))
            other_emotion.append(trials.select(~alike | ~trials.same))
    if not same_emotion:
        return None
    pooled = {"same_emotion": Trials.pool(same_emotion), "different_emotions": Trials.pool(other_emotion)}
    return {name: trials.metrics() | _rates(trials, model.decision[0]) for name, trials in pooled.items()}


def _rates(trials: Trials, threshold: float) -> dict[str, float]:
    accepted, rejected = trials.rates_at(threshold)
    return {"false_accepts": round(accepted, 4), "false_rejects": round(rejected, 4)}


def _evaluate_cosines(model: SpeakerEncoder, utterances: Utterances) -> dict[str, Any]:
    """Return the metrics of the same pairs by their cosines, as voices are linked in a night."""
    trials = pair_trials(utterances)
    corpora = {name: round(pair_trials(part).eer(), 4) for name, part in utterances.by_corpus().items()}
    return trials.metrics() | _rates(trials, model.threshold) | {"eer_by_corpus": corpora}
