"""Evaluation on calm speech without labels: the share of it that is called neutral, and with what confidence.

A folder is scored as one night: its files are the recordings, their stretches of speech the utterances, and speakers
are those that the pipeline finds. Figures by speaker are by `labels.csv`, where there is one with speakers; else by
subfolder, else by what stands before the first `-` or `_` of a file's name.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from data_contracts.emotion_prior import BALANCED, expected_shares
from data_contracts.errors import UsageError
from models.data.labelled_speech import Speech, read_utterances
from models.data.labels_file import Clip, read_labels
from models.emotion.dataset import build_table
from models.emotion.evaluation import date_posteriors, pipeline_speakers
from models.emotion.model import EmotionModel
from models.emotion.training import predict_adapted_logits
from models.speaker.protocol import SpeakerEncoder

_NEUTRAL = "neutral"
_NO_AUDIO = {".csv", ".json", ".md", ".txt"}


def evaluate_calm(
    model: EmotionModel, folder: Path, *, speaker: SpeakerEncoder | None, emotion_prior: str
) -> dict[str, Any]:
    """Return plain numbers for JSON. Raises UsageError where there is no speech, or the model knows no `neutral`."""
    if _NEUTRAL not in model.classes:
        raise UsageError(f"expected a model with a class {_NEUTRAL}, found {', '.join(model.classes)}: choose another")
    clips = _clips(folder, model.classes)
    recordings = list(read_utterances(clips))
    speech = [Speech(clip, name, piece) for clip, name, pieces in recordings for piece in pieces]
    if not speech:
        raise UsageError(f"expected recordings with speech in {folder}, found none in {len(clips)} files: check --calm")
    shares = expected_shares(emotion_prior, model.classes) if model.statistics else None
    table, found = build_table(speech, model.classes), pipeline_speakers(speaker, speech)
    scores = date_posteriors(model, table, predict_adapted_logits(model, table, found), found, shares)
    labelled = np.array([item.clip.speaker for item in speech])
    return {
        "n": len(speech),
        "n_recordings": len(recordings),
        "n_without_speech": sum(not pieces for *_, pieces in recordings),
        "n_unusable": len(clips) - len(recordings),
        "n_speakers_found": len(set(found) - {""}),
        "minutes": round(float(table.seconds.sum()) / 60, 2),
        "emotion_prior": emotion_prior if shares else BALANCED,
        **_figures(scores, model.classes),
        **_by_speaker(scores, labelled, model.classes),
        "protocol": f"{len(speech)} utterances of one night, not labelled, with the speakers that the pipeline finds",
    }


def _figures(scores: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    predicted, confidence = scores.argmax(1), scores.max(1)
    others = confidence[predicted != classes.index(_NEUTRAL)]
    return {
        "neutral": round(float(np.mean(predicted == classes.index(_NEUTRAL))), 4),
        "emotions": {name: round(float(np.mean(predicted == i)), 4) for i, name in enumerate(classes)},
        "mean_confidence": round(float(confidence.mean()), 4),
        "not_neutral_confidence": round(float(others.mean()), 4) if len(others) else None,
    }


def _by_speaker(scores: np.ndarray, speakers: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Return the figures of the labelled speakers, and of the one who is called neutral least."""
    own = {str(name): _figures(scores[speakers == name], classes) for name in np.unique(speakers) if name}
    if not own:
        return {}
    worst = min(own, key=lambda name: (own[name]["neutral"], name))
    return {"worst_speaker": {"speaker": worst, **own[worst]}, "n_speakers": len(own), "by_speaker": own}


def _clips(folder: Path, classes: Sequence[str]) -> list[Clip]:
    if (folder / "labels.csv").is_file():
        clips = read_labels([folder])
    else:
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() not in _NO_AUDIO)
        clips = [Clip(path, _speaker_in(path.relative_to(folder)), "", "") for path in files if path.name[0] != "."]
    return [replace(clip, emotion=classes[0], corpus=folder.name) for clip in clips]  # no label is used


def _speaker_in(path: Path) -> str:
    """Return a subfolder's name, or the beginning of the file's.

    >>> [_speaker_in(Path(name)) for name in ("ann/1.wav", "ann-1.wav", "84_121123_0001.flac", "ann.wav")]
    ['ann', 'ann', '84', 'ann']
    """
    return path.parts[0] if len(path.parts) > 1 else re.split("[-_]", path.stem, maxsplit=1)[0]
