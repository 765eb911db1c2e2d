"""Fitting the emotion model to a table of features: networks for all that they may meet, and a linear one for the best.

The networks are shown features whose corpus and speaker are known, half known and not known at all, because they will
meet all three; the linear model, only features from which both are taken away.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.emotion.dataset import FEATURE_NAMES, Table, current_fingerprints
from models.emotion.model import EmotionModel, Member, clip_features, compress, standardise
from models.emotion.variance_components import VarianceComponents, decompose_variance

_INITIAL_TEMPERATURE = 0.6  # temperature before one is fitted: smoothed labels make timid logits


@dataclass(frozen=True)
class EmotionRecipe:
    """How the model is fitted. Every clip counts as it is, and in `n_copies` as other rooms and lines would give it."""

    n_copies: int = 6
    n_networks: int = 4
    n_linear: int = 2  # of the networks: without a hidden layer
    ridge: float = 300.0  # of the linear model for features without offsets: the square of its weights against a clip
    hidden: int = 128
    steps: int = 800
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


def fit(table: Table, *, recipe: EmotionRecipe, seed: int) -> EmotionModel:
    """A model of the clips in `table`; classes and corpora count alike however often they occur."""
    mean, scale = _scale(table)
    values = standardise(table.values, mean, scale)
    known = [_decompose(copy, table) for copy in values]
    shown = _ExampleSampler(values, known, table, recipe)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        members = _fit_members(shown, recipe, len(table.classes))
    return EmotionModel(
        members,
        linear=_fit_linear(shown, len(table), recipe, len(table.classes)),
        mean=mean,
        scale=scale,
        prior=known[0].prior,
        feature_names=FEATURE_NAMES,
        features=current_fingerprints(),
        classes=table.classes,
        temperature=_INITIAL_TEMPERATURE,
        adapted_temperature=_INITIAL_TEMPERATURE,
    )


def _scale(table: Table) -> tuple[Tensor, Tensor]:
    """Mean of the clips as they are, and deviation within a speaker over the copies, of compressed features."""
    values = compress(table.values)
    mean, rough = values[0].mean(0), values[0].std(0).clamp_min(1e-6)
    rest = []
    for copy in (values - mean) / rough:
        found = _decompose(copy, table)
        rest.append(copy - found.corpora - found.speakers)
    return mean, rough * torch.cat(rest).square().mean(0).sqrt().clamp_min(1e-3)


def _decompose(copy: Tensor, table: Table) -> VarianceComponents:
    return decompose_variance(copy, table.labels, table.speakers, table.corpora, n_classes=len(table.classes))


class _ExampleSampler:
    """Draws what the networks are shown: a class of a corpus as often as any other, offsets taken away or not."""

    def __init__(
        self, values: Tensor, known: Sequence[VarianceComponents], table: Table, recipe: EmotionRecipe
    ) -> None:
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
        self.share = torch.from_numpy(weight.ravel() / weight.sum())
        self.until = self.share.cumsum(0)

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, n_features) features, (batch,) labels, (batch, n_classes) the classes that its corpus labels."""
        n, recipe = self.recipe.batch, self.recipe
        drawn = torch.searchsorted(self.until, torch.rand(n, dtype=torch.float64)).clamp_max(len(self.labels) - 1)
        kind, part = torch.rand(n, 1), torch.rand(n, 1)
        part = torch.where(kind < recipe.adapted, 1.0, torch.where(kind < 1 - recipe.unadapted, part, 0.0))
        corpus = (kind < 1 - recipe.unadapted / 2).float()
        features = self.values[drawn] - corpus * self.corpora[drawn] - part * self.speakers[drawn]
        return features, self.labels[drawn], self.has[self.corpus[drawn]]


def _fit_members(shown: _ExampleSampler, recipe: EmotionRecipe, n_classes: int) -> list[Member]:
    n_features = shown.values.shape[1]
    hidden = [recipe.hidden] * recipe.n_networks + [0] * recipe.n_linear
    members = nn.ModuleList(Member(n_features, n_classes, hidden=n, dropout=recipe.dropout) for n in hidden)
    optimiser = torch.optim.AdamW(members.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.steps)
    for _ in range(recipe.steps):
        features, labels, has = shown.draw()
        features = clip_features(features)
        losses = [
            _loss(member(nn.functional.dropout(features, recipe.feature_dropout)), labels, has, recipe.label_smoothing)
            for member in members
        ]
        optimiser.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return list(members.eval())  # type: ignore[arg-type]


def _fit_linear(shown: _ExampleSampler, n: int, recipe: EmotionRecipe, n_classes: int) -> Member:
    """Ridge logistic regression on the `n` clips as they are, all offsets taken away; classes count alike."""
    features = clip_features((shown.values - shown.corpora - shown.speakers)[:n])
    labels, has = shown.labels[:n], shown.has[shown.corpus[:n]]
    weight = shown.share[:n].float() / shown.share[:n].mean()
    linear = Member(features.shape[1], n_classes, hidden=0)
    for parameter in linear.parameters():
        nn.init.zeros_(parameter)
    optimiser = torch.optim.LBFGS(linear.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        likely = linear(features).masked_fill(~has, -1e4).log_softmax(-1)[torch.arange(n), labels]
        total: Tensor = -(weight * likely).sum() + 0.5 * recipe.ridge * linear.outer.weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return linear


def _loss(logits: Tensor, labels: Tensor, has: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy among the classes that the clip's corpus labels: what it does not label, it does not deny."""
    likely = logits.masked_fill(~has, -1e4).log_softmax(-1)
    wanted = has / has.sum(-1, keepdim=True) * smoothing
    wanted[torch.arange(len(labels)), labels] += 1 - smoothing
    return -(wanted * likely).sum(-1).mean()
