"""Statistics of logits: what went into made-up logits is found again."""

import numpy as np
import torch

from models.emotion.logit_statistics import LogitStatistics, contrasts, fit_statistics


def _logits(n_speakers: int, per_class: int, *, between: float, n_classes: int, seed: int) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    labels = np.tile(np.repeat(np.arange(n_classes), per_class), n_speakers)
    speakers = np.repeat(np.arange(n_speakers), per_class * n_classes)
    offsets = random.normal(0, between**0.5, (n_speakers, 3))
    values = 4 * np.eye(4)[labels] + random.normal(0, 1, (len(labels), 4))
    return values + offsets[speakers] @ contrasts(4).numpy(), labels, speakers.astype(str)


def test_variances_within_and_between_speakers_are_found() -> None:
    acted, labels, actors = _logits(20, 10, between=0.1, n_classes=4, seed=0)
    calm, _, readers = _logits(200, 1, between=9.0, n_classes=1, seed=1)  # of one class, a clip each
    corpora = np.repeat(["acted", "calm"], [len(acted), len(calm)])
    logits = torch.from_numpy(np.concatenate([acted, calm]))
    found = fit_statistics(
        logits, np.concatenate([labels, np.full(len(calm), 2)]), np.concatenate([actors, readers]), corpora
    )
    assert found is not None
    torch.testing.assert_close(found.means @ contrasts(4), 4 * torch.eye(4).double() - 1, atol=0.3, rtol=0)
    assert 0.8 < float(found.within.trace()) / 3 < 1.2
    assert 7 < float(found.between.trace()) / 3 < 11  # of the corpus where speakers differ most
    again = LogitStatistics.from_json(found.as_json())
    torch.testing.assert_close(again.between, found.between, atol=1e-4, rtol=0)


def test_nothing_is_known_without_a_corpus_of_every_class() -> None:
    logits, labels, speakers = _logits(5, 4, between=1.0, n_classes=2, seed=0)
    assert fit_statistics(torch.from_numpy(logits), labels, speakers, np.full(len(labels), "c")) is None


def test_contrasts_are_orthonormal_and_blind_to_a_common_shift() -> None:
    basis = contrasts(4)
    torch.testing.assert_close(basis @ basis.T, torch.eye(3).double())
    torch.testing.assert_close(basis.sum(1), torch.zeros(3).double())
