"""Training of the emotion model: functionals of acted speech and of augmented copies.

Read the speech, compute its features, fit on all but some speakers in turn to calibrate the model (temperatures), then
fit on all speakers.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data_contracts.errors import UsageError
from models.emotion.dataset import Table, build_table, read_emotional_speech
from models.emotion.fitting import EmotionRecipe, fit, is_acted
from models.emotion.logit_statistics import fit_statistics
from models.emotion.model import CLASSES, EmotionModel
from models.metrics.bootstrap import interval_by_speaker
from models.metrics.classification import classification_metrics, uar


def train_emotion(
    corpora: Sequence[Path],
    out: Path,
    *,
    seed: int = 0,
    classes: Sequence[str] = CLASSES,
    recipe: EmotionRecipe = EmotionRecipe(),
    any_licence: bool = False,
) -> dict[str, Any]:
    """Train on the clips of `corpora` that are labelled with one of `classes`, and write the model to `out`.

    Corpora that the recipe names as calm take part as neutral. Data whose licence asks for more than attribution takes
    part with `any_licence` alone. Returns the metrics of the held-out speakers of each fold, in the corpora with more
    than one class. A corpus need not have every class. Raises UsageError where there is no speaker to hold out, or a
    class without a clip.
    """
    speech = read_emotional_speech(
        corpora, classes, calm=recipe.calm, n_calm=recipe.calm_clips, any_licence=any_licence
    )
    table = build_table(speech, classes, n_copies=recipe.n_copies, seed=seed)
    missing = [name for index, name in enumerate(classes) if index not in table.labels]
    if missing:
        raise UsageError(f"expected clips of every emotion ({', '.join(classes)}), found none of {', '.join(missing)}")
    held_out = predict_out_of_fold(table, speaker_folds(table.speakers, recipe.folds), recipe=recipe, seed=seed)
    model, acted = fit(table, recipe=recipe, seed=seed), is_acted(table)
    labels = torch.from_numpy(table.labels[acted])
    model.temperature, model.adapted_temperature = (
        max(least, fit_temperature(logits[torch.from_numpy(acted)], labels))
        for least, logits in zip(recipe.least_temperatures, (held_out.alone, held_out.adapted), strict=True)
    )
    model.statistics = fit_statistics(held_out.adapted, table.labels, table.speakers, table.corpora)
    metrics = _metrics(held_out.rows(acted), table.rows(acted), model)
    model.training = {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "corpora": {str(name): int((table.corpora == name).sum()) for name in np.unique(table.corpora)},
        "licences": table.licences,
        "manifest": table.manifest,
        "n_clips": len(table),
        "n_speakers": len(np.unique(table.speakers)),
        "minutes": round(float(table.seconds.sum()) / 60, 1),
        "out_of_fold": metrics,
    }
    model.trained_on = frozenset(table.recordings.tolist())
    model.save(out)
    return metrics


@dataclass(frozen=True)
class ClipLogits:
    """Logits (n, n_classes) of clips."""

    alone: Tensor  # each clip by itself
    adapted: Tensor  # with its corpus and, as labelled, its speaker

    def rows(self, mask: np.ndarray) -> "ClipLogits":
        """Return those of some of the clips."""
        return ClipLogits(self.alone[torch.from_numpy(mask)], self.adapted[torch.from_numpy(mask)])


def predict_out_of_fold(table: Table, folds: np.ndarray, *, recipe: EmotionRecipe, seed: int) -> ClipLogits:
    """Return logits from models whose training set lacks the speakers of the clip's fold."""
    alone = torch.zeros(len(table), len(table.classes))
    adapted = alone.clone()
    for fold in np.unique(folds):
        is_held_out = folds == fold
        model = fit(table.rows(~is_held_out), recipe=recipe, seed=seed)
        rows, logits = torch.from_numpy(is_held_out), predict_logits(model, table.rows(is_held_out))
        alone[rows], adapted[rows] = logits.alone, logits.adapted
    return ClipLogits(alone, adapted)


def predict_logits(model: EmotionModel, table: Table, speakers: np.ndarray | None = None) -> ClipLogits:
    """Return the logits of the clips as they are, with `speakers`, or those of the labels."""
    alone = model.logits(model.standardise(_own_features(model, table)), adapted=False)
    return ClipLogits(alone, predict_adapted_logits(model, table, table.speakers if speakers is None else speakers))


def predict_adapted_logits(model: EmotionModel, table: Table, speakers: np.ndarray) -> Tensor:
    """Return logits (n, n_classes) of the clips, each corpus adapted by itself and to its `speakers`."""
    values, seconds = _own_features(model, table), torch.from_numpy(table.seconds)
    logits = torch.zeros(len(table), len(table.classes))
    for corpus in np.unique(table.corpora):
        rows = np.flatnonzero(table.corpora == corpus)
        names = [str(speakers[index]) for index in rows]
        logits[rows] = model.logits(model.adapt(values[rows], names, seconds[rows]), adapted=True)
    return logits


def _own_features(model: EmotionModel, table: Table) -> Tensor:
    """Return the features (n, n_features) of the clips that the model reads: functionals come first."""
    return table.values[0][:, : len(model.feature_names)]


def speaker_folds(speakers: np.ndarray, n: int) -> np.ndarray:
    """Return the fold of each clip (n clips,): a speaker's clips together, at most `n` folds."""
    names, place = np.unique(speakers, return_inverse=True)
    if len(names) < 2:
        raise UsageError(f"expected two speakers or more, to hold one out; found {len(names)}: add speakers")
    return np.asarray(place % min(n, len(names)))


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature, from 0.2 to 5, at which the logits fit the labels best; classes count alike."""
    candidates = torch.logspace(np.log10(0.2), np.log10(5.0), 200)
    weights = 1 / torch.bincount(labels, minlength=logits.shape[1]).clamp_min(1).float()
    losses = [float(nn.functional.cross_entropy(logits / t, labels, weight=weights)) for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def _metrics(held_out: ClipLogits, table: Table, model: EmotionModel) -> dict[str, Any]:
    """Return the metrics as `models evaluate` does: of each clip by itself, and the UAR with its labelled speaker."""
    scores = (held_out.alone.double() / model.temperature).softmax(-1).numpy()
    alone, adapted = scores.argmax(1), held_out.adapted.argmax(1).numpy()
    low, high = interval_by_speaker(lambda rows: uar(alone[rows], table.labels[rows]), table.speakers)
    return classification_metrics(scores, table.labels, table.classes) | {
        "uar_interval": [round(low, 4), round(high, 4)],
        "uar_oracle": round(uar(adapted, table.labels), 4),
        "n_speakers": len(np.unique(table.speakers)),
    }
