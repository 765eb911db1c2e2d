"""Fit the emotion model to a table of features: networks, and a linear model for adapted features.

The networks train on features less all, part or none of the offsets of corpus and speaker, because they will score all
three; the linear model trains only on features less both offsets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.emotion.dataset import FEATURE_NAMES, Table, current_fingerprints
from models.emotion.model import EmotionModel, Member, clip_features, compress, standardise
from models.emotion.variance_components import VarianceComponents, decompose_variance

_INITIAL_TEMPERATURE = 0.6  # before one is fitted: smoothed labels make small logits


@dataclass(frozen=True)
class EmotionRecipe:
    """Hyperparameters of the fit. Every clip counts as it is, and in `n_copies` augmented copies.

    The names of the fields are stored in `config.json`.
    """

    n_copies: int = 6
    n_networks: int = 4
    n_linear: int = 2  # of the networks: without a hidden layer
    ridge: float = 300.0  # of the linear model: the square of its weights against a clip
    hidden: int = 128
    steps: int = 800
    batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    dropout: float = 0.5  # of the hidden layer
    feature_dropout: float = 0.3
    label_smoothing: float = 0.1
    clean: float = 0.33  # share of clips as they are
    adapted: float = 0.5  # share without the speaker's offset
    unadapted: float = 0.2  # share with it, half of them with the corpus's, too; the rest keeps a random part of it
    folds: int = 5  # of speakers, for the temperature


def fit(table: Table, *, recipe: EmotionRecipe, seed: int) -> EmotionModel:
    """Fit a model to the clips in `table`; classes and corpora count alike however often they occur."""
    mean, scale = _scale(table)
    values = standardise(table.values, mean, scale)
    components = [_decompose(copy, table) for copy in values]
    examples = _ExampleSampler(values, components, table, recipe)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        members = _fit_members(examples, recipe, len(table.classes))
    return EmotionModel(
        members,
        linear=_fit_linear(examples, len(table), recipe, len(table.classes)),
        mean=mean,
        scale=scale,
        prior=components[0].prior,
        feature_names=FEATURE_NAMES,
        features=current_fingerprints(),
        classes=table.classes,
        temperature=_INITIAL_TEMPERATURE,
        adapted_temperature=_INITIAL_TEMPERATURE,
    )


def _scale(table: Table) -> tuple[Tensor, Tensor]:
    """Return the mean over clips, and the deviation within speakers over the copies, of compressed features."""
    values = compress(table.values)
    mean, overall = values[0].mean(0), values[0].std(0).clamp_min(1e-6)
    residuals = []
    for copy in (values - mean) / overall:
        components = _decompose(copy, table)
        residuals.append(copy - components.corpora - components.speakers)
    return mean, overall * torch.cat(residuals).square().mean(0).sqrt().clamp_min(1e-3)


def _decompose(copy: Tensor, table: Table) -> VarianceComponents:
    return decompose_variance(copy, table.labels, table.speakers, table.corpora, n_classes=len(table.classes))


class _ExampleSampler:
    """Draw training examples: every class of every corpus equally often, with or without their offsets."""

    def __init__(
        self, values: Tensor, components: Sequence[VarianceComponents], table: Table, recipe: EmotionRecipe
    ) -> None:
        self.recipe = recipe
        self.values = values.flatten(0, 1)
        self.corpora = torch.cat([part.corpora for part in components])
        self.speakers = torch.cat([part.speakers for part in components])
        self.labels = torch.from_numpy(np.tile(table.labels, len(values)))
        names, place = np.unique(table.corpora, return_inverse=True)
        cells = place * len(table.classes) + table.labels
        tally = np.bincount(cells, minlength=len(names) * len(table.classes))
        self.corpus_classes = torch.from_numpy(tally.reshape(len(names), -1) > 0)  # (n_corpora, n_classes)
        self.corpus = torch.from_numpy(np.tile(place, len(values)))
        weight = np.tile(1 / tally[cells], (len(values), 1))
        weight[0] *= recipe.clean
        weight[1:] *= (1 - recipe.clean) / max(1, len(values) - 1)
        self.share = torch.from_numpy(weight.ravel() / weight.sum())
        self.cumulative = self.share.cumsum(0)

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return (batch, n_features) features, (batch,) labels, (batch, n_classes) classes that the corpus labels."""
        n, recipe = self.recipe.batch, self.recipe
        drawn = torch.searchsorted(self.cumulative, torch.rand(n, dtype=torch.float64)).clamp_max(len(self.labels) - 1)
        kind, part = torch.rand(n, 1), torch.rand(n, 1)
        part = torch.where(kind < recipe.adapted, 1.0, torch.where(kind < 1 - recipe.unadapted, part, 0.0))
        corpus = (kind < 1 - recipe.unadapted / 2).float()
        features = self.values[drawn] - corpus * self.corpora[drawn] - part * self.speakers[drawn]
        return features, self.labels[drawn], self.corpus_classes[self.corpus[drawn]]


def _fit_members(examples: _ExampleSampler, recipe: EmotionRecipe, n_classes: int) -> list[Member]:
    n_features = examples.values.shape[1]
    hidden = [recipe.hidden] * recipe.n_networks + [0] * recipe.n_linear
    members = nn.ModuleList(Member(n_features, n_classes, hidden=n, dropout=recipe.dropout) for n in hidden)
    optimiser = torch.optim.AdamW(members.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.steps)
    for _ in range(recipe.steps):
        features, labels, is_labelled = examples.draw()
        features = clip_features(features)
        losses = [
            _loss(
                member(nn.functional.dropout(features, recipe.feature_dropout)),
                labels,
                is_labelled,
                recipe.label_smoothing,
            )
            for member in members
        ]
        optimiser.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return list(members.eval())  # type: ignore[arg-type]


def _fit_linear(examples: _ExampleSampler, n: int, recipe: EmotionRecipe, n_classes: int) -> Member:
    """Fit ridge logistic regression to the first `n` clips, less all offsets; classes count alike."""
    features = clip_features((examples.values - examples.corpora - examples.speakers)[:n])
    labels, is_labelled = examples.labels[:n], examples.corpus_classes[examples.corpus[:n]]
    weight = examples.share[:n].float() / examples.share[:n].mean()
    linear = Member(features.shape[1], n_classes, hidden=0)
    for parameter in linear.parameters():
        nn.init.zeros_(parameter)
    optimiser = torch.optim.LBFGS(linear.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        log_likelihood = linear(features).masked_fill(~is_labelled, -1e4).log_softmax(-1)[torch.arange(n), labels]
        total: Tensor = -(weight * log_likelihood).sum() + 0.5 * recipe.ridge * linear.outer.weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return linear


def _loss(logits: Tensor, labels: Tensor, is_labelled: Tensor, smoothing: float) -> Tensor:
    """Return the cross-entropy among the classes that the clip's corpus labels; the others count neither way."""
    log_likelihood = logits.masked_fill(~is_labelled, -1e4).log_softmax(-1)
    target = is_labelled / is_labelled.sum(-1, keepdim=True) * smoothing
    target[torch.arange(len(labels)), labels] += 1 - smoothing
    return -(target * log_likelihood).sum(-1).mean()
