"""Statistics of a model's logits on voices that it had not heard: class means, and covariances about them.

They say how far apart the logits of speakers of one mood lie, and those of one speaker in one mood, so that
`models.emotion.label_shift` can tell a date in one mood from a date of many.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

_MIN_CELLS = 5  # of a speaker's clips of one class, to know how they differ
_MIN_BETWEEN = 2.0  # times the variance within speakers: who acts in one studio differs less than who does not
_MIN_EIGENVALUE = 0.1  # of the mean variance within speakers


@dataclass(frozen=True)
class LogitStatistics:
    """In contrasts of the logits, `contrasts(n_classes)`; float64. The names of the fields are stored."""

    means: Tensor  # (n_classes, n_classes - 1), the mean of each class less the mean of all
    within: Tensor  # (n_classes - 1, n_classes - 1), covariance of a speaker's utterances of one class
    between: Tensor  # (n_classes - 1, n_classes - 1), covariance of speakers, of what adaptation leaves of it

    def as_json(self) -> dict[str, Any]:
        return {name: [[round(x, 5) for x in row] for row in value.tolist()] for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "LogitStatistics":
        return cls(**{name: torch.tensor(stored[name], dtype=torch.float64) for name in ("means", "within", "between")})


def contrasts(n_classes: int) -> Tensor:
    """Return an orthonormal basis (n_classes - 1, n_classes) of logits that differ: a common shift says nothing."""
    basis = torch.zeros(n_classes - 1, n_classes, dtype=torch.float64)
    for row in range(1, n_classes):
        basis[row - 1, :row], basis[row - 1, row] = 1.0, -row
    orthonormal: Tensor = basis / basis.norm(dim=1, keepdim=True)
    return orthonormal


def fit_statistics(
    logits: Tensor,  # (n, n_classes), of features adapted to corpus and speaker, by models that had not heard the voice
    labels: np.ndarray,  # (n,)
    speakers: np.ndarray,  # (n,)
    corpora: np.ndarray,  # (n,)
) -> LogitStatistics | None:
    """Return the statistics; None where no corpus shows every class, or nobody a class twice.

    Speakers differ as in the corpus where they differ most: natural speech is heard in many rooms. In a corpus of one
    clip a speaker, what clips of a speaker differ by is taken from the others.
    """
    n_classes = logits.shape[1]
    values = logits.double() @ contrasts(n_classes).T
    means, within, residuals = [], [], []
    for corpus in np.unique(corpora):
        rows = np.flatnonzero(corpora == corpus)
        own, own_means = labels[rows], _means(values[rows], labels[rows], n_classes)
        if len(np.unique(own)) == n_classes:
            means.append(own_means - own_means.mean(0))
        residual = values[rows] - own_means[own]
        residuals.append((residual, speakers[rows]))
        _, cell = np.unique(
            np.char.add(np.char.add(speakers[rows].astype(str), "\t"), own.astype(str)), return_inverse=True
        )
        if (np.bincount(cell) > 1).sum() >= _MIN_CELLS:
            within.append(_covariance_within(residual, cell))
    if not means or not within or n_classes < 2:
        return None
    inside = torch.stack(within).mean(0)
    outside = max((_covariance_between(*each, inside) for each in residuals), key=lambda c: float(c.trace()))
    if outside.trace() < _MIN_BETWEEN * inside.trace():
        outside = _MIN_BETWEEN * inside
    floor = _MIN_EIGENVALUE * float(inside.trace()) / len(inside)
    return LogitStatistics(torch.stack(means).mean(0), _raise(inside, floor), _raise(outside, floor))


def _means(values: Tensor, place: np.ndarray, n: int) -> Tensor:
    tally = torch.from_numpy(np.bincount(place, minlength=n)).clamp_min(1)[:, None]
    return torch.zeros(n, values.shape[1], dtype=values.dtype).index_add_(0, torch.from_numpy(place), values) / tally


def _covariance_within(residual: Tensor, cell: np.ndarray) -> Tensor:
    n = int(cell.max()) + 1
    left = residual - _means(residual, cell, n)[cell]
    return left.T @ left / (len(left) - n)


def _covariance_between(residual: Tensor, speakers: np.ndarray, within: Tensor) -> Tensor:
    names, place = np.unique(speakers, return_inverse=True)
    if len(names) < 2:
        return torch.zeros_like(within)
    means = _means(residual, place, len(names))
    return torch.cov(means.T).reshape(within.shape) - within * float(np.mean(1 / np.bincount(place)))


def _raise(covariance: Tensor, floor: float) -> Tensor:
    """Return the covariance with no eigenvalue below `floor`."""
    values, vectors = torch.linalg.eigh(covariance)
    raised: Tensor = vectors @ torch.diag(values.clamp_min(floor)) @ vectors.T
    return raised
