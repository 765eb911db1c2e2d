"""How good is a speaker encoder on a labelled folder, voices that it was trained on left out?"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from data_contracts.errors import UsageError
from models.labels import Speech, read_labels, read_speech
from models.speaker import SpeakerModel
from models.verification import trials_between


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
