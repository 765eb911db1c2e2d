"""Evaluation of a pretrained emotion model on a labelled folder, as it is: its training set is not known here."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_contracts.errors import UsageError
from features.dsp.batching import pad_batch
from models.data.emotion_labels import emotion_named
from models.emotion.dataset import read_emotional_speech
from models.metrics.bootstrap import interval_by_speaker
from models.metrics.classification import classification_metrics, uar
from models.pretrained.emotion import PretrainedEmotion


def evaluate_pretrained(model: PretrainedEmotion, folder: Path) -> dict[str, Any]:
    """Evaluate the model on the clips of `folder` that carry one of its classes.

    It does not adapt to speakers: `uar_adaptive` and `uar_oracle` are the same as `uar`. Raises UsageError for a model
    without classes.
    """
    if not model.classes:
        raise UsageError(
            f"expected a model with classes; this one tells {', '.join(model.dimensions)}, which labels.csv has no "
            "column for: compare them with labels of your own, in the table utterances"
        )
    speech = read_emotional_speech([folder], model.classes)
    waveforms = [pad_batch([item.waveform], torch.device("cpu")) for item in speech]
    vectors = torch.cat([model.embed(*waveform) for waveform in waveforms])
    scores = model.scores(vectors).numpy()[:, : len(model.classes)]
    labels = np.array([model.classes.index(emotion_named(item.clip.emotion)) for item in speech])
    speakers = np.array([item.clip.speaker for item in speech])
    predicted = scores.argmax(1)
    recall = round(uar(predicted, labels), 4)
    interval = [round(end, 4) for end in interval_by_speaker(lambda rows: uar(predicted[rows], labels[rows]), speakers)]
    return classification_metrics(scores, labels, model.classes) | {
        "uar": recall,
        "uar_adaptive": recall,
        "uar_oracle": recall,
        **{f"{name}_interval": interval for name in ("uar", "uar_adaptive", "uar_oracle")},
        "n_speakers": len(np.unique(speakers)),
        "protocol": (
            f"the model as it was pulled, on {len(speech)} clips; whether it was trained on any of them is not known; "
            "it does not adapt to speakers"
        ),
    }
