"""Variance components of made-up data."""

import numpy as np
import pytest
import torch

from models.emotion.variance_components import decompose_variance


def _made(*, one_sided: bool) -> tuple[torch.Tensor, np.ndarray, np.ndarray, np.ndarray, dict[str, torch.Tensor]]:
    """Two corpora of twelve speakers with offsets, three moods; half of the speakers of one mood where `one_sided`."""
    random = torch.Generator().manual_seed(3)

    def drawn(n: int, spread: float) -> torch.Tensor:
        return spread * torch.randn(n, 6, generator=random)

    corpora, speakers, moods = drawn(2, 3.0), drawn(24, 1.0), drawn(3, 1.5)
    rows = [
        (corpus, 12 * corpus + who, mood)
        for corpus in range(2)
        for who in range(12)
        for mood in range(3)
        for _ in range(5)
        if not one_sided or who % 2 == 0 or mood == who % 3
    ]
    corpus, speaker, mood = (np.array(column) for column in zip(*rows, strict=True))
    truth = {"corpus": corpora[corpus], "speaker": speakers[speaker], "mood": moods - moods.mean(0)}
    values = truth["corpus"] + truth["speaker"] + moods[mood] + drawn(len(rows), 0.5)
    return values, mood, speaker.astype(str), corpus.astype(str), truth


@pytest.mark.parametrize("one_sided", [False, True])
def test_offsets_and_moods_are_found_again(one_sided: bool) -> None:
    values, labels, speakers, corpora, truth = _made(one_sided=one_sided)
    found = decompose_variance(values, labels, speakers, corpora, n_classes=3)
    torch.testing.assert_close(found.class_means, truth["mood"], atol=0.35, rtol=0)
    offset = found.corpora + found.speakers
    true = truth["corpus"] + truth["speaker"]
    assert float((offset - true - (offset - true).mean(0)).square().mean()) < 0.15
    assert float(found.prior.within.mean()) == pytest.approx(0.25, rel=0.2)
    assert float(found.prior.between.mean()) == pytest.approx(1.0, rel=0.5)
    assert bool((found.prior.corpora >= found.prior.between).all())


def test_a_feature_that_never_moves_has_variances_above_zero() -> None:
    values, labels, speakers, corpora, _ = _made(one_sided=False)
    values[:, 0] = 1.0
    prior = decompose_variance(values, labels, speakers, corpora, n_classes=3).prior
    assert float(prior.within[0]) > 0
    assert float(prior.between[0]) > 0
    assert all(bool(part.isfinite().all()) for part in vars(prior).values())


def test_a_class_that_nobody_shows_has_no_mean() -> None:
    values, labels, speakers, corpora, _ = _made(one_sided=False)
    found = decompose_variance(values, labels, speakers, corpora, n_classes=4)
    assert found.class_means[3].abs().max() == 0
