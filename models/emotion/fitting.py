"""Fit the emotion model to a table of features: two linear discriminants, for features with and without offsets.

Each is Fisher's, with a covariance shrunk towards a multiple of the identity (Friedman, JASA 84, 1989), one of the
functionals and one of what the extractor heard, their logits added. That for adapted features learns from acted speech
less the offsets of corpus and speaker; the other from features as they are, and from natural speech as neutral.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.emotion.dataset import FEATURE_NAMES, NEUTRAL, Table, all_names, current_fingerprints
from models.emotion.model import EmotionModel, Member, clip_features, compress, standardise
from models.emotion.speaker_adaptation import Prior
from models.emotion.variance_components import VarianceComponents, decompose_variance

_N_FUNCTIONALS = len(FEATURE_NAMES)
_LOGIT = 4.0  # the mean logit of a class for its own mean, before a temperature is fitted


@dataclass(frozen=True)
class EmotionRecipe:
    """Hyperparameters of the fit. The names of the fields are stored in `config.json`."""

    n_copies: int = 0  # augmented copies of each clip, beside it
    heard_shrinkage: float = 0.1
    functional_components: int = 60
    functional_shrinkage: float = 0.6
    functional_share: float = 0.25  # of the logits
    intensity: float = 0.8  # of the emotions, seen from neutral: people act more strongly than they speak
    calm: tuple[str, ...] = ("librispeech_train-clean-100", "picovoice_intent")  # corpora that count as neutral
    calm_clips: int = 250  # of each, at most
    folds: int = 5  # of speakers, for the temperature
    least_temperatures: tuple[float, float] = (1.5, 1.5)  # alone, adapted: what another corpus needs


def fit(table: Table, *, recipe: EmotionRecipe, seed: int = 0) -> EmotionModel:  # noqa: ARG001 - nothing is drawn
    """Fit a model to the clips in `table`; classes and corpora count alike however often they occur."""
    acted = table.rows(is_acted(table))
    mean, scale = _scale(acted)
    values = standardise(acted.values.flatten(0, 1), mean, scale)
    labels = np.tile(acted.labels, len(acted.values))
    parts = [_decompose(copy, acted) for copy in standardise(acted.values, mean, scale)]
    offsets = torch.cat([part.corpora + part.speakers for part in parts])
    everything = clip_features(standardise(table.values[0], mean, scale))
    neutral = table.classes.index(NEUTRAL) if NEUTRAL in table.classes else None
    features, n_classes = _parts(scale, recipe), len(table.classes)
    return EmotionModel(
        [_discriminant(everything, table.labels, table.corpora, features, n_classes=n_classes)],
        linear=_discriminant(
            clip_features(values - offsets),
            labels,
            np.tile(acted.corpora, len(acted.values)),
            features,
            n_classes=n_classes,
            neutral=neutral,
            intensity=recipe.intensity,
        ),
        linear_share=1.0,
        mean=mean,
        scale=scale,
        prior=_prior(parts[0], table, everything, neutral),
        feature_names=all_names(),
        features=current_fingerprints(),
        classes=table.classes,
    )


def is_acted(table: Table) -> np.ndarray:
    """Return a mask (n,) of the clips of corpora with more than one class; all where there is no such corpus."""
    several = [name for name in np.unique(table.corpora) if len(set(table.labels[table.corpora == name])) > 1]
    mask = np.isin(table.corpora, several)
    return mask if mask.any() else np.ones(len(table), bool)


def _scale(acted: Table) -> tuple[Tensor, Tensor]:
    """Return the mean over clips, and the deviation within speakers over the copies, of compressed features."""
    values = compress(acted.values)
    mean, overall = values[0].mean(0), values[0].std(0).clamp_min(1e-6)
    residuals = []
    for copy in (values - mean) / overall:
        components = _decompose(copy, acted)
        residuals.append(copy - components.corpora - components.speakers)
    return mean, overall * torch.cat(residuals).square().mean(0).sqrt().clamp_min(1e-3)


def _decompose(copy: Tensor, table: Table) -> VarianceComponents:
    return decompose_variance(copy, table.labels, table.speakers, table.corpora, n_classes=len(table.classes))


def _prior(components: VarianceComponents, table: Table, everything: Tensor, neutral: int | None) -> Prior:
    """Return the acted corpora's prior of offsets, which calm corpora widen: their neutral lies elsewhere."""
    prior, corpora = components.prior, [components.prior.corpora]
    for name in np.unique(table.corpora[~is_acted(table)]) if neutral is not None else []:
        rows = torch.from_numpy(table.corpora == name)
        corpora.append((everything[rows].mean(0) - prior.class_means[neutral]).square())
    return Prior(prior.between, prior.within, torch.stack(corpora).amax(0), prior.class_means)


@dataclass(frozen=True)
class _Part:
    """Features that share a covariance, the units in which it is shrunk, and their share of the logits."""

    columns: Tensor  # (n_features,) bool
    units: Tensor  # (n columns,) of one standardised feature
    n_components: int
    shrinkage: float
    share: float


def _parts(scale: Tensor, recipe: EmotionRecipe) -> list[_Part]:
    """Return the functionals, each in its own deviation, and what was heard, in the extractor's units."""
    heard = torch.arange(len(scale)) >= _N_FUNCTIONALS
    share = recipe.functional_share if heard.any() else 1.0
    units = torch.ones(int((~heard).sum())).double()
    parts = [_Part(~heard, units, recipe.functional_components, recipe.functional_shrinkage, share)]
    if heard.any():
        units = (scale[heard] / scale[heard].max()).double()
        parts.append(_Part(heard, units, len(units), recipe.heard_shrinkage, 1 - share))
    return parts


def _discriminant(
    values: Tensor,  # (n, n_features), standardised
    labels: np.ndarray,  # (n,)
    corpora: np.ndarray,  # (n,)
    parts: list[_Part],
    *,
    n_classes: int,
    neutral: int | None = None,  # the class that the others are brought towards
    intensity: float = 1.0,
) -> Member:
    """Return the discriminants of all parts of the features as one linear layer; corpora and classes count alike."""
    member, values = Member(values.shape[1], n_classes, hidden=0), values.double()
    _, place = np.unique(corpora, return_inverse=True)
    share = torch.from_numpy(1 / np.bincount(place)[place] / len(np.bincount(place)))
    means = _class_means(values, labels, place, n_classes)
    residuals = (values - means[torch.from_numpy(labels)]) * share.sqrt()[:, None]
    if neutral is not None:
        means = means[neutral] + intensity * (means - means[neutral])
    with torch.no_grad():
        member.outer.bias.zero_()
        for part in parts:
            basis = part.units[:, None] * _principal_axes(
                values[:, part.columns] * part.units, share, part.n_components
            )
            weight, bias = _fisher(residuals[:, part.columns] @ basis, means[:, part.columns] @ basis, part.shrinkage)
            member.outer.weight[:, part.columns] = (part.share * weight @ basis.T).float()
            member.outer.bias.add_((part.share * bias).float())
    return member


def _class_means(values: Tensor, labels: np.ndarray, place: np.ndarray, n_classes: int) -> Tensor:
    """Return (n_classes, n_features): the mean over the corpora that hold a class of their means of it."""
    means = torch.zeros(n_classes, values.shape[1], dtype=values.dtype)
    for index in range(n_classes):
        own = [values[torch.from_numpy((labels == index) & (place == corpus))] for corpus in np.unique(place)]
        means[index] = torch.stack([rows.mean(0) for rows in own if len(rows)] or [means[index]]).mean(0)
    return means


def _principal_axes(values: Tensor, share: Tensor, n_components: int) -> Tensor:
    """Return the first axes (n columns, n_components) of (n, n columns) values each with a share (n,)."""
    centred = (values - share @ values) * share.sqrt()[:, None]
    axes: Tensor = torch.linalg.svd(centred, full_matrices=False).Vh[:n_components].T
    return axes


def _fisher(residuals: Tensor, means: Tensor, shrinkage: float) -> tuple[Tensor, Tensor]:
    """Return weight (n_classes, n) and bias of the discriminant of classes with one covariance, that of residuals."""
    covariance = residuals.T @ residuals
    n = len(covariance)
    covariance = (1 - shrinkage) * covariance + shrinkage * covariance.trace() / n * torch.eye(n).double()
    weight = torch.linalg.solve(covariance, means.T).T
    own = (weight * means).sum(1)
    unit = _LOGIT / own.mean().clamp_min(1e-9)
    return unit * weight, -0.5 * unit * own
