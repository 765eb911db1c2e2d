"""Viterbi search, batched: the best path through each frame's candidates (Viterbi, IEEE Trans. Inf. Theory 13, 1967).

A path's score is the sum of its states' strengths less the costs of its jumps. Rows are cut into blocks, and all blocks
of a stretch advance together: a thousand frames take some hundred small steps, not a thousand.
"""

from collections.abc import Callable

import torch
from torch import Tensor

VERSION = "viterbi-1"
BLOCK_FRAMES = 32  # fixed, so that neither padding nor the batch changes the order in which a row's scores are added
STRETCH_FRAMES = 64 * BLOCK_FRAMES  # at once: bounds memory
_FORBIDDEN_COST = 1e4  # a cost that no path accepts


def best_path(
    strength: Tensor,  # (batch, frames, states)
    jump_cost: Callable[[int, int], Tensor],  # (first, last): into those frames, (batch, last - first, states, states)
    valid: Tensor,  # (batch, frames) bool: true at each row's beginning
) -> Tensor:  # (batch, frames) int64
    """Return the state of each frame on the row's best path; beyond a row's valid frames its last state is repeated.

    Costs are (from, to); those into frame 0 do not count.
    """
    batch, n_frames, n_states = strength.shape
    score = strength.new_zeros(batch, n_states)
    stay = _FORBIDDEN_COST * (1 - torch.eye(n_states, device=strength.device))
    trail = []
    for first in range(0, n_frames, STRETCH_FRAMES):
        last = min(first + STRETCH_FRAMES, n_frames)
        counts = valid[:, first:last, None]
        cost = torch.where(counts[..., None], jump_cost(first, last), stay)
        if first == 0:
            cost[:, 0] = 0.0
        score, origins = _forward(score, torch.where(counts, strength[:, first:last], 0.0)[..., None, :] - cost)
        trail.append(origins.to(torch.uint8))
    state = score.argmax(-1)
    paths = []
    for origins in reversed(trail):
        path, state = _backward(origins.long(), state)
        paths.append(path)
    return torch.cat(paths[::-1], dim=1)[:, :n_frames]


def _forward(score: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Return scores (batch, to) after all frames of `step` (batch, frames, from, to), and each state's predecessor."""
    missing = -step.shape[1] % BLOCK_FRAMES
    if missing:
        stay = -_FORBIDDEN_COST * (1 - torch.eye(step.shape[-1], device=step.device))
        step = torch.cat([step, stay.expand(step.shape[0], missing, -1, -1)], dim=1)
    step = step.reshape(len(step), -1, BLOCK_FRAMES, *step.shape[2:])
    gain = step[:, :, 0]  # of a whole block, from any state before it to any state at its end
    for place in range(1, BLOCK_FRAMES):
        gain = (gain[..., :, :, None] + step[:, :, place, None]).amax(-2)
    entry_scores = []
    for block in gain.unbind(1):
        entry_scores.append(score)
        score = (score[:, :, None] + block).amax(1)
        score = score - score.amax(-1, keepdim=True)  # only differences count, and so keep their precision
    scores = torch.stack(entry_scores, dim=1)
    origins = []
    for place in range(BLOCK_FRAMES):
        scores, origin = (scores[..., :, None] + step[:, :, place]).max(-2)
        origins.append(origin)
    return score, torch.stack(origins, dim=2)  # (batch, blocks, BLOCK, to)


def _backward(origins: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """Return the states (batch, frames) of the path that ends in `last` (batch,), and the state before them."""
    batch, n_blocks, _, n_states = origins.shape
    state = torch.arange(n_states, device=origins.device).expand(batch, n_blocks, n_states)
    paths = []
    for place in reversed(range(BLOCK_FRAMES)):
        paths.append(state)
        state = origins[:, :, place].gather(-1, state)
    block_ends = []
    for block in reversed(range(n_blocks)):
        block_ends.append(last)
        last = state[:, block].gather(-1, last[:, None])[:, 0]
    end_states = torch.stack(block_ends[::-1], dim=1)[..., None]
    path = torch.stack([states.gather(-1, end_states)[..., 0] for states in reversed(paths)], dim=-1)
    return path.flatten(1), last
