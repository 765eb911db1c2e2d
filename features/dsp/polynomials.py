"""All roots of many small polynomials at once.

Aberth, "Iteration methods for finding all zeros of a polynomial simultaneously", Math. Comp. 27, 1973: Newton's step,
held back by the other roots. Elementwise operations on the whole batch, where an eigendecomposition of each companion
matrix would run one by one.
"""

import math

import torch
from torch import Tensor

VERSION = "polynomials-2"
STEPS, MORE_STEPS = 6, 12  # for all; then at most so many for those that still move
CONVERGED = 1e-3  # a step that is smaller, against the roots' spread, is the last
_TINY = 1e-20


def roots(
    coefficients: Tensor,  # (n, order + 1): real, the highest power's first, and neither that nor the last 0
) -> Tensor:  # (n, order) complex
    """The roots of each polynomial, in no order, to about 1e-5 of their size where they are apart."""
    monic = (coefficients / coefficients[:, :1]).T[1:]  # (order, n): neighbours in memory are polynomials, side by side
    order = len(monic)
    centre = -monic[0] / order  # the roots' mean
    at_centre = torch.ones_like(centre)
    for row in monic:
        at_centre = at_centre * centre + row
    radius = at_centre.abs().clamp_min(_TINY).pow(1 / order)  # the geometric mean of their distances from it
    angle = 2 * math.pi * (torch.arange(order, device=monic.device) + 0.25) / order
    found = centre + torch.polar(radius.expand(order, -1), angle[:, None].expand(-1, len(radius)))
    for _ in range(STEPS):
        step = _aberth_step(monic, found)
        found = found - step
    moving = _unconverged(step, radius)
    for _ in range(MORE_STEPS):
        if len(moving) == 0:
            break
        step = _aberth_step(monic[:, moving], found[:, moving])
        found[:, moving] -= step
        moving = moving[_unconverged(step, radius[moving])]
    return found.T


def _aberth_step(monic: Tensor, found: Tensor) -> Tensor:
    """What to take off each root, (order, n) complex."""
    value, slope = found + monic[0], torch.ones_like(found)
    for row in monic[1:]:
        slope = slope * found + value
        value = value * found + row
    itself = torch.eye(len(found), device=found.device)[..., None]
    others = (found[:, None] - found[None, :] + itself).reciprocal().sum(1) - 1  # less the 1 of the root itself
    step = value / (slope - value * others)
    return torch.where(step.abs() < torch.inf, step, 0.0)  # roots that met, or lie where numbers end


def _unconverged(step: Tensor, radius: Tensor) -> Tensor:
    return (step.abs().amax(0) > CONVERGED * radius).nonzero()[:, 0]
