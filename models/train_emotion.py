"""Training the emotion model: eGeMAPS of acted speech, each clip also as other rooms would have heard it.

Read the speech, compute its features, fit on all but some speakers in turn to see how sure the model may be
(temperature), then fit on everybody.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data_contracts.errors import UsageError
from features.audio import SAMPLE_RATE
from features.batches import padded, sorted_batches
from features.gemaps import EGEMAPS_NAMES, EgemapsConfig, egemaps
from models.augment import rerecorded
from models.classification import classification_metrics
from models.emotion import CLASSES, EmotionModel, Member, compressed, standardise
from models.labels import Speech, read_labels, read_speech

_BATCH_SAMPLES = 60 * SAMPLE_RATE


@dataclass(frozen=True)
class Recipe:
    """How the model is fitted. Every clip counts `1 + n_copies` times: as it is, and as other rooms would hear it."""

    n_copies: int = 6
    n_members: int = 5
    hidden: int = 64
    steps: int = 300
    batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    dropout: float = 0.5  # of the hidden layer
    feature_dropout: float = 0.2
    label_smoothing: float = 0.1
    folds: int = 5  # of speakers, for the temperature


@dataclass(frozen=True)
class Table:
    """Labelled features: `values[0]` of the clips as they are, the rest of their copies."""

    values: Tensor  # (1 + n_copies, n, n_features)
    labels: np.ndarray  # (n,) indices into CLASSES
    speakers: np.ndarray  # (n,) str
    corpora: np.ndarray  # (n,) str
    recordings: np.ndarray  # (n,) str

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, chosen: np.ndarray) -> "Table":
        """Some of the clips, by mask or index."""
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        others = (self.labels[chosen], self.speakers[chosen], self.corpora[chosen], self.recordings[chosen])
        return Table(self.values[:, torch.from_numpy(chosen)], *others)


def train_emotion(corpora: Sequence[Path], out: Path, *, seed: int = 0, recipe: Recipe = Recipe()) -> dict[str, Any]:
    """Trains on the clips of `corpora` that are labelled with one of CLASSES, and writes the model to `out`.

    Returns the metrics of speakers that each fold's model had not heard. Raises UsageError where there is nobody to
    hold out, or a class without a clip.
    """
    table = read_table(corpora, recipe=recipe, seed=seed)
    missing = [name for index, name in enumerate(CLASSES) if index not in table.labels]
    if missing:
        raise UsageError(f"expected clips of every emotion ({', '.join(CLASSES)}), found none of {', '.join(missing)}")
    unheard = out_of_fold(table, speaker_folds(table.speakers, recipe.folds), recipe=recipe, seed=seed)
    model = fit(table, recipe=recipe, seed=seed)
    model.temperature = temperature_of(unheard, torch.from_numpy(table.labels))
    metrics = classification_metrics((unheard / model.temperature).softmax(-1).numpy(), table.labels, CLASSES)
    metrics["n_speakers"] = len(np.unique(table.speakers))
    model.training = {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "corpora": {str(name): int((table.corpora == name).sum()) for name in np.unique(table.corpora)},
        "n_clips": len(table),
        "n_speakers": metrics["n_speakers"],
        "out_of_fold": metrics,
    }
    model.trained_on = frozenset(table.recordings.tolist())
    model.save(out)
    return metrics


def read_table(corpora: Sequence[Path], *, recipe: Recipe, seed: int, classes: Sequence[str] = CLASSES) -> Table:
    """The features of every clip that is labelled with a speaker and one of `classes`. Raises UsageError for none."""
    clips = [clip for clip in read_labels(corpora) if clip.speaker and clip.emotion in classes]
    speech = list(read_speech(clips))
    if not speech:
        raise UsageError(
            f"expected clips labelled with {', '.join(classes)} in {', '.join(map(str, corpora))}; found none: "
            "fill in the columns speaker and emotion of labels.csv"
        )
    random = torch.Generator().manual_seed(seed)
    copies = [
        features_of(speech, lambda waveform: rerecorded(waveform, random)) for _ in range(recipe.n_copies)
    ]  # drawn from one generator, in order
    return Table(
        torch.stack([features_of(speech), *copies]),
        np.array([classes.index(item.clip.emotion) for item in speech]),
        np.array([item.clip.speaker for item in speech]),
        np.array([item.clip.corpus for item in speech]),
        np.array([item.recording_id for item in speech]),
    )


def features_of(speech: Sequence[Speech], change: Callable[[Tensor], Tensor] = lambda same: same) -> Tensor:
    """(n, len(EGEMAPS_NAMES)) eGeMAPS of the clips' waveforms, after `change`."""
    values = torch.zeros(len(speech), len(EGEMAPS_NAMES))
    for batch in sorted_batches([len(item.waveform) for item in speech], most_samples=_BATCH_SAMPLES):
        waveform, lengths = padded([speech[index].waveform for index in batch], torch.device("cpu"))
        values[batch] = egemaps(change(waveform), lengths)
    return values


def fit(table: Table, *, recipe: Recipe, seed: int) -> EmotionModel:
    """A model of the clips in `table`, classes counting alike however often they occur; its temperature is 1."""
    values = table.values.flatten(0, 1)
    labels = torch.from_numpy(np.tile(table.labels, len(table.values)))
    mean, scale = compressed(values).mean(0), compressed(values).std(0).clamp_min(1e-6)
    standardised = standardise(values, mean, scale)
    weights = 1 / torch.bincount(labels, minlength=len(CLASSES)).clamp_min(1).float()
    loss_of = nn.CrossEntropyLoss(weight=weights / weights.mean(), label_smoothing=recipe.label_smoothing)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        members = [_fit_member(standardised, labels, loss_of, recipe) for _ in range(recipe.n_members)]
    fingerprint = EgemapsConfig().fingerprint()
    return EmotionModel(members, mean=mean, scale=scale, feature_names=EGEMAPS_NAMES, egemaps=fingerprint)


def _fit_member(values: Tensor, labels: Tensor, loss_of: nn.Module, recipe: Recipe) -> Member:
    member = Member(values.shape[1], len(CLASSES), hidden=recipe.hidden, dropout=recipe.dropout)
    optimiser = torch.optim.AdamW(member.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.steps)
    for _ in range(recipe.steps):
        drawn = torch.randint(len(values), (recipe.batch,))
        shown = nn.functional.dropout(values[drawn], recipe.feature_dropout)
        loss = loss_of(member(shown), labels[drawn])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return member.eval()


def speaker_folds(speakers: np.ndarray, n: int) -> np.ndarray:
    """(n clips,) the fold that each clip is held out in: a speaker's clips together, `n` folds at most."""
    names, place = np.unique(speakers, return_inverse=True)
    if len(names) < 2:
        raise UsageError(f"expected two speakers or more, to hold one out; found {len(names)}: add speakers")
    return np.asarray(place % min(n, len(names)))


def out_of_fold(table: Table, folds: np.ndarray, *, recipe: Recipe, seed: int) -> Tensor:
    """(n, n_classes) logits of each clip from a model that has heard nobody of its fold."""
    logits = torch.zeros(len(table), len(CLASSES))
    for fold in np.unique(folds):
        held = folds == fold
        model = fit(table.rows(~held), recipe=recipe, seed=seed)
        logits[torch.from_numpy(held)] = model.logits(table.rows(held).values[0])
    return logits


def temperature_of(logits: Tensor, labels: Tensor) -> float:
    """The temperature, between 0.2 and 5, with which the logits fit the labels best; classes count alike."""
    candidates = torch.logspace(np.log10(0.2), np.log10(5.0), 200)
    weights = 1 / torch.bincount(labels, minlength=logits.shape[1]).clamp_min(1).float()
    losses = [float(nn.functional.cross_entropy(logits / t, labels, weight=weights)) for t in candidates]
    return float(candidates[int(np.argmin(losses))])
