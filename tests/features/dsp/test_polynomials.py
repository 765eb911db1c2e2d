"""Roots of many polynomials against NumPy's, which are computed one by one from companion matrices."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from features.dsp.formants import linear_prediction
from features.dsp.polynomials import roots


def distance(coefficients):
    """(n,) how far the worst root lies from NumPy's, as a share of the largest root."""
    found = roots(coefficients).cpu().numpy()
    worst = []
    for row, polynomial in zip(found, coefficients.double().cpu().numpy(), strict=True):
        expected = np.roots(polynomial)
        apart = np.abs(row[:, None] - expected)
        worst.append(apart[linear_sum_assignment(apart)].max() / np.abs(expected).max())
    return np.array(worst)


def random_polynomials(n, order, seed):
    coefficients = torch.randn(n, order + 1, generator=torch.Generator().manual_seed(seed))
    coefficients[:, 0] = 1.0
    return coefficients


def predictors(order):
    """Linear predictors of coloured noise whose colour differs from row to row, (200, order + 1)."""
    generator = torch.Generator().manual_seed(order)
    colour = torch.nn.functional.pad(torch.randn(200, 8, generator=generator), (0, 504))
    noise = torch.randn(200, 512, generator=generator)
    power = (torch.fft.rfft(colour) * torch.fft.rfft(noise)).abs().square() + 1e-3
    return linear_prediction(torch.fft.irfft(power)[:, : order + 1])


def test_shape(device):
    found = roots(random_polynomials(7, 10, seed=0).to(device))
    assert found.shape == (7, 10)
    assert found.dtype == torch.complex64
    assert roots(torch.ones(0, 11, device=device)).shape == (0, 10)


def test_batch_matches_single(device):
    coefficients = random_polynomials(3, 11, seed=1).to(device)
    together = roots(coefficients)
    for row in range(3):
        torch.testing.assert_close(roots(coefficients[row : row + 1])[0], together[row], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3, 5, 10, 11])
def test_random_polynomials_match_numpy(order, device):
    """Within 1e-3 of the largest root for 99 in 100: float32 cannot tell roots that almost coincide."""
    assert np.mean(distance(random_polynomials(300, order, seed=order).to(device)) < 1e-3) >= 0.99


@pytest.mark.parametrize("order", [2, 10, 11])
def test_linear_predictors_match_numpy(order, device):
    assert np.mean(distance(predictors(order).to(device)) < 1e-3) >= 0.99


def test_two_real_roots_are_found(device):
    """Two starting points that mirror each other must not stay where they mirror each other."""
    both = torch.tensor([[1.0, 2.55, 0.2993], [1.0, -1.0, 0.2], [1.0, 0.0, -1.0]], device=device)  # real roots
    assert distance(both).max() < 1e-4


def test_known_roots_come_back(device):
    expected = np.array([0.95 * np.exp(0.3j), 0.95 * np.exp(-0.3j), 0.8 * np.exp(1.2j), 0.8 * np.exp(-1.2j), 0.5])
    coefficients = torch.from_numpy(np.poly(expected).real).float()[None].to(device)
    assert distance(coefficients)[0] < 1e-5
    assert distance(3.7 * coefficients)[0] < 1e-5  # a factor changes no root


def test_roots_of_roots_of_one(device):
    found = roots(torch.tensor([[1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1.0]], device=device))
    torch.testing.assert_close(found.abs(), torch.ones_like(found.real), rtol=0, atol=1e-6)
    steps = found.angle()[0].sort().values.diff()
    torch.testing.assert_close(steps, torch.full_like(steps, 2 * torch.pi / 10), rtol=0, atol=1e-5)


def test_coinciding_and_tiny_roots_are_finite(device):
    awkward = [[1, -2, 1, 0, 0], [1, 0, 0, 0, 0], [1, -4, 6, -4, 1], [1, 0, 0, 0, 1e-30], [1, 1e6, 1, 1, 1e-6]]
    found = roots(torch.tensor(awkward, dtype=torch.float32, device=device))
    assert torch.view_as_real(found).isfinite().all()
