"""Training the emotion model: functionals of acted speech, each clip also as other rooms and lines would give it.

Read the speech, compute its features, fit on all but some speakers in turn to see how sure the model may be
(temperature), then fit on everybody. The networks are shown features whose corpus and speaker are known, half known
and not known at all, because they will meet all three.
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
from models.classification import classification_metrics, uar
from models.components import Components, take_apart
from models.emotion import CLASSES, EmotionModel, Member, compressed, standardise
from models.emotion_table import FEATURE_NAMES, Table, features_in_force, read_speech_of, table_of
from models.intervals import by_speaker

_UNSURE = 0.6  # temperature before one is fitted: smoothed labels make timid logits


@dataclass(frozen=True)
class Recipe:
    """How the model is fitted. Every clip counts as it is, and in `n_copies` as other rooms and lines would give it."""

    n_copies: int = 6
    n_networks: int = 4
    n_linear: int = 2  # networks without a hidden layer
    hidden: int = 64
    steps: int = 400
    batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    dropout: float = 0.5  # of the hidden layer
    feature_dropout: float = 0.3
    label_smoothing: float = 0.1
    clean: float = 0.33  # of what is drawn: clips as they are
    adapted: float = 0.5  # of what is drawn: without the speaker's offset
    unadapted: float = 0.2  # with it, half of them with the corpus's, too; of the rest a random part of the speaker's
    folds: int = 5  # of speakers, for the temperature


def train_emotion(
    corpora: Sequence[Path],
    out: Path,
    *,
    seed: int = 0,
    classes: Sequence[str] = CLASSES,
    recipe: Recipe = Recipe(),
) -> dict[str, Any]:
    """Trains on the clips of `corpora` that are labelled with one of `classes`, and writes the model to `out`.

    Returns the metrics of speakers that each fold's model had not heard. A corpus need not have every class. Raises
    UsageError where there is nobody to hold out, or a class without a clip.
    """
    table = table_of(read_speech_of(corpora, classes), classes, n_copies=recipe.n_copies, seed=seed)
    missing = [name for index, name in enumerate(classes) if index not in table.labels]
    if missing:
        raise UsageError(f"expected clips of every emotion ({', '.join(classes)}), found none of {', '.join(missing)}")
    unheard = out_of_fold(table, speaker_folds(table.speakers, recipe.folds), recipe=recipe, seed=seed)
    labels = torch.from_numpy(table.labels)
    model = fit(table, recipe=recipe, seed=seed)
    model.temperature = temperature_of(torch.cat([unheard.alone, unheard.adapted]), torch.cat([labels, labels]))
    metrics = _metrics(unheard, table, model.temperature)
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
class Unheard:
    """(n, n_classes) logits of clips from models that have not heard their speakers."""

    alone: Tensor  # each clip by itself
    adapted: Tensor  # with its corpus and, as labelled, its speaker


def out_of_fold(table: Table, folds: np.ndarray, *, recipe: Recipe, seed: int) -> Unheard:
    """What models say that have heard nobody of a clip's fold."""
    alone = torch.zeros(len(table), len(table.classes))
    adapted = alone.clone()
    for fold in np.unique(folds):
        held = folds == fold
        model = fit(table.rows(~held), recipe=recipe, seed=seed)
        said = say(model, table.rows(held))
        alone[torch.from_numpy(held)], adapted[torch.from_numpy(held)] = said.alone, said.adapted
    return Unheard(alone, adapted)


def say(model: EmotionModel, table: Table, speakers: Sequence[str] | None = None) -> Unheard:
    """What the model says of the clips as they are; `speakers`, where they are not those of the labels."""
    values, seconds = table.values[0], torch.from_numpy(table.seconds)
    adapted = torch.zeros(len(table), len(table.classes))
    for corpus in np.unique(table.corpora):
        here = np.flatnonzero(table.corpora == corpus)
        names = [str((table.speakers if speakers is None else speakers)[index]) for index in here]
        adapted[here] = model.logits(model.adapted(values[here], names, seconds[here]))
    return Unheard(model.logits(model.standardised(values)), adapted)


def fit(table: Table, *, recipe: Recipe, seed: int) -> EmotionModel:
    """A model of the clips in `table`; classes and corpora count alike however often they occur."""
    mean, scale = _scale(table)
    values = standardise(table.values, mean, scale)
    known = [_taken_apart(copy, table) for copy in values]
    shown = _Shown(values, known, table, recipe)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        members = _fit_members(shown, recipe, len(table.classes))
    return EmotionModel(
        members,
        mean=mean,
        scale=scale,
        prior=known[0].prior,
        feature_names=FEATURE_NAMES,
        features=features_in_force(),
        classes=table.classes,
        temperature=_UNSURE,
    )


def _scale(table: Table) -> tuple[Tensor, Tensor]:
    """Mean of the clips as they are, and deviation within a speaker over the copies, of compressed features."""
    values = compressed(table.values)
    mean, rough = values[0].mean(0), values[0].std(0).clamp_min(1e-6)
    rest = []
    for copy in (values - mean) / rough:
        found = _taken_apart(copy, table)
        rest.append(copy - found.corpora - found.speakers)
    return mean, rough * torch.cat(rest).square().mean(0).sqrt().clamp_min(1e-3)


def _taken_apart(copy: Tensor, table: Table) -> Components:
    return take_apart(copy, table.labels, table.speakers, table.corpora, n_classes=len(table.classes))


class _Shown:
    """Draws what the networks are shown: a class of a corpus as often as any other, offsets taken away or not."""

    def __init__(self, values: Tensor, known: Sequence[Components], table: Table, recipe: Recipe) -> None:
        self.recipe = recipe
        self.values = values.flatten(0, 1)
        self.corpora = torch.cat([parts.corpora for parts in known])
        self.speakers = torch.cat([parts.speakers for parts in known])
        self.labels = torch.from_numpy(np.tile(table.labels, len(values)))
        names, place = np.unique(table.corpora, return_inverse=True)
        cells = place * len(table.classes) + table.labels
        tally = np.bincount(cells, minlength=len(names) * len(table.classes))
        self.has = torch.from_numpy(tally.reshape(len(names), -1) > 0)  # which classes a corpus labels
        self.corpus = torch.from_numpy(np.tile(place, len(values)))
        weight = np.tile(1 / tally[cells], (len(values), 1))
        weight[0] *= recipe.clean
        weight[1:] *= (1 - recipe.clean) / max(1, len(values) - 1)
        self.weight = torch.from_numpy(weight.ravel() / weight.sum()).cumsum(0)

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, n_features) features, (batch,) labels, (batch, n_classes) the classes that its corpus labels."""
        n, recipe = self.recipe.batch, self.recipe
        drawn = torch.searchsorted(self.weight, torch.rand(n, dtype=torch.float64)).clamp_max(len(self.labels) - 1)
        kind, part = torch.rand(n, 1), torch.rand(n, 1)
        part = torch.where(kind < recipe.adapted, 1.0, torch.where(kind < 1 - recipe.unadapted, part, 0.0))
        corpus = (kind < 1 - recipe.unadapted / 2).float()
        features = self.values[drawn] - corpus * self.corpora[drawn] - part * self.speakers[drawn]
        return features, self.labels[drawn], self.has[self.corpus[drawn]]


def _fit_members(shown: _Shown, recipe: Recipe, n_classes: int) -> list[Member]:
    n_features = shown.values.shape[1]
    hidden = [recipe.hidden] * recipe.n_networks + [0] * recipe.n_linear
    members = nn.ModuleList(Member(n_features, n_classes, hidden=n, dropout=recipe.dropout) for n in hidden)
    optimiser = torch.optim.AdamW(members.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.steps)
    for _ in range(recipe.steps):
        features, labels, has = shown.draw()
        told = features.clamp(-4.0, 4.0)
        losses = [
            _loss(member(nn.functional.dropout(told, recipe.feature_dropout)), labels, has, recipe.label_smoothing)
            for member in members
        ]
        optimiser.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return list(members.eval())  # type: ignore[arg-type]


def _loss(logits: Tensor, labels: Tensor, has: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy among the classes that the clip's corpus labels: what it does not label, it does not deny."""
    likely = logits.masked_fill(~has, -1e4).log_softmax(-1)
    wanted = has / has.sum(-1, keepdim=True) * smoothing
    wanted[torch.arange(len(labels)), labels] += 1 - smoothing
    return -(wanted * likely).sum(-1).mean()


def speaker_folds(speakers: np.ndarray, n: int) -> np.ndarray:
    """(n clips,) the fold that each clip is held out in: a speaker's clips together, `n` folds at most."""
    names, place = np.unique(speakers, return_inverse=True)
    if len(names) < 2:
        raise UsageError(f"expected two speakers or more, to hold one out; found {len(names)}: add speakers")
    return np.asarray(place % min(n, len(names)))


def temperature_of(logits: Tensor, labels: Tensor) -> float:
    """The temperature, between 0.2 and 5, with which the logits fit the labels best; classes count alike."""
    candidates = torch.logspace(np.log10(0.2), np.log10(5.0), 200)
    weights = 1 / torch.bincount(labels, minlength=logits.shape[1]).clamp_min(1).float()
    losses = [float(nn.functional.cross_entropy(logits / t, labels, weight=weights)) for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def _metrics(unheard: Unheard, table: Table, temperature: float) -> dict[str, Any]:
    """As `models evaluate` has them: the metrics of each clip by itself, and the UAR with its speaker as labelled."""
    scores = [(logits.double() / temperature).softmax(-1).numpy() for logits in (unheard.alone, unheard.adapted)]
    alone, adapted = (each.argmax(1) for each in scores)
    low, high = by_speaker(lambda rows: uar(alone[rows], table.labels[rows]), table.speakers)
    return classification_metrics(scores[0], table.labels, table.classes) | {
        "uar_interval": [round(low, 4), round(high, 4)],
        "uar_oracle": round(uar(adapted, table.labels), 4),
        "n_speakers": len(np.unique(table.speakers)),
    }
