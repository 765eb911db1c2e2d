"""Roots of polynomials, batched: all roots of many small polynomials at once.

Aberth, "Iteration methods for finding all zeros of a polynomial simultaneously", Math. Comp. 27, 1973: Newton's step,
repelled by the other roots. Elementwise operations on the whole batch, where eigendecompositions of companion matrices
would run one by one.
"""

import math

import torch
from torch import Tensor

VERSION = "polynomials-2"
STEPS, MORE_STEPS = 6, 12  # for all; then at most so many for those that have not converged
CONVERGED = 1e-3  # of the roots' spread: a smaller step is the last
_TINY = 1e-20


def roots(
    coefficients: Tensor,  # (n, order + 1): real, the highest power's first, and neither that nor the last 0
) -> Tensor:  # (n, order) complex
    """Find the roots of each polynomial, in no order, to about 1e-5 of their size where they are well separated."""
    monic = (coefficients / coefficients[:, :1]).T[1:]  # (order, n): polynomials are adjacent in memory
    order = len(monic)
    centre = -monic[0] / order  # the roots' mean
    at_centre = torch.ones_like(centre)
    for row in monic:
        at_centre = at_centre * centre + row
    radius = at_centre.abs().clamp_min(_TINY).pow(1 / order)  # the geometric mean of their distances from it
    angle = 2 * math.pi * (torch.arange(order, device=monic.device) + 0.25) / order
    estimate = centre + torch.polar(radius.expand(order, -1), angle[:, None].expand(-1, len(radius)))
    for _ in range(STEPS):
        step = _aberth_step(monic, estimate)
        estimate = estimate - step
    moving = _unconverged(step, radius)
    for _ in range(MORE_STEPS):
        if len(moving) == 0:
            break
        step = _aberth_step(monic[:, moving], estimate[:, moving])
        estimate[:, moving] -= step
        moving = moving[_unconverged(step, radius[moving])]
    return estimate.T


def _aberth_step(monic: Tensor, estimate: Tensor) -> Tensor:
    """Return the step to subtract from each root's estimate, (order, n) complex."""
    value, slope = estimate + monic[0], torch.ones_like(estimate)
    for row in monic[1:]:
        slope = slope * estimate + value
        value = value * estimate + row
    itself = torch.eye(len(estimate), device=estimate.device)[..., None]
    others = (estimate[:, None] - estimate[None, :] + itself).reciprocal().sum(1) - 1  # less the 1 of the root itself
    step = value / (slope - value * others)
    return torch.where(step.abs() < torch.inf, step, 0.0)  # of coinciding roots, or after an overflow


def _unconverged(step: Tensor, radius: Tensor) -> Tensor:
    return (step.abs().amax(0) > CONVERGED * radius).nonzero()[:, 0]
