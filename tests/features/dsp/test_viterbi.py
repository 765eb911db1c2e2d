"""Viterbi search: a plain loop over the frames finds no better path."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from features.dsp import frames, viterbi
from features.dsp.viterbi import best_path


def score_of(path, strength, cost):
    """Score of a path: (frames,) states, (frames, states), (frames, from, to)."""
    jumps = cost[np.arange(1, len(path)), path[:-1], path[1:]]
    return strength[np.arange(len(path)), path].sum() - jumps.sum()


def plain_viterbi(strength, cost):
    """Viterbi as the textbook has it, in float64."""
    best, origins = strength[0], []
    for frame in range(1, len(strength)):
        through = best[:, None] - cost[frame]
        origins.append(through.argmax(0))
        best = through.max(0) + strength[frame]
    path = [int(best.argmax())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return np.array(path[::-1])


def random_case(n_rows, n_frames, n_states, seed):
    """Random strengths (rows, frames, states) and costs (rows, frames, from, to)."""
    rng = np.random.default_rng(seed)
    strength = rng.uniform(-1, 1, (n_rows, n_frames, n_states))
    cost = rng.uniform(0, 2, (n_rows, n_frames, n_states, n_states))
    cost[:, 0] = 0  # nothing is before the first frame
    return torch.from_numpy(strength).float(), torch.from_numpy(cost).float()


def path_of(strength, cost, lengths):
    device = strength.device
    valid = frames.length_mask(torch.tensor(lengths, device=device), strength.shape[1])
    return best_path(strength, lambda first, last: cost[:, first:last].clone(), valid)


@given(
    lengths=st.lists(st.integers(1, 200), min_size=1, max_size=4),
    n_states=st.integers(1, 5),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=40)
def test_no_path_is_better_than_the_one_found(lengths, n_states, seed):
    strength, cost = random_case(len(lengths), max(lengths), n_states, seed)
    paths = path_of(strength, cost, lengths)
    assert paths.shape == strength.shape[:2]
    for row, length in enumerate(lengths):
        own = (strength[row, :length].double().numpy(), cost[row, :length].double().numpy())
        best = score_of(plain_viterbi(*own), *own)
        assert score_of(paths[row, :length].numpy(), *own) == pytest.approx(best, abs=1e-4)


def test_several_stretches_join_to_one_path(device):
    lengths = [2 * viterbi.STRETCH_FRAMES + 77, viterbi.STRETCH_FRAMES, viterbi.BLOCK_FRAMES + 1]
    strength, cost = random_case(3, lengths[0], 4, seed=1)
    paths = path_of(strength.to(device), cost.to(device), lengths).cpu()
    for row, length in enumerate(lengths):
        own = (strength[row, :length].double().numpy(), cost[row, :length].double().numpy())
        assert (paths[row, :length].numpy() == plain_viterbi(*own)).all()


@pytest.mark.parametrize("size", [1, 3])
def test_batch_matches_single(size, device):
    strength, cost = (part.to(device) for part in random_case(size, 100, 4, seed=2))
    together = path_of(strength, cost, [100, 64, 3][:size])
    for row, length in enumerate([100, 64, 3][:size]):
        alone = path_of(strength[row : row + 1, :length], cost[row : row + 1, :length], [length])
        assert torch.equal(alone[0], together[row, :length])


def test_padding_is_ignored_and_keeps_the_last_state(device):
    strength, cost = (part.to(device) for part in random_case(2, 120, 3, seed=3))
    path = path_of(strength, cost, [70, 120])
    strength[0, 70:], cost[0, 70:] = 9.0, -5.0
    assert torch.equal(path_of(strength, cost, [70, 120]), path)
    assert (path[0, 70:] == path[0, 69]).all()


def test_a_cost_keeps_the_path_where_strength_alone_would_jump(device):
    strength = torch.zeros(1, 5, 2, device=device)
    strength[0, :, 0], strength[0, 2, 1] = 1.0, 1.5
    apart = 1.0 - torch.eye(2, device=device).expand(1, 5, 2, 2)
    assert path_of(strength, 0.2 * apart, [5])[0].tolist() == [0, 0, 1, 0, 0]
    assert path_of(strength, 0.3 * apart, [5])[0].tolist() == [0, 0, 0, 0, 0]


def test_costs_into_the_first_frame_do_not_count(device):
    strength = torch.tensor([[[0.5, 0.4], [0.0, 0.0]]], device=device)
    cost = torch.zeros(1, 2, 2, 2, device=device)
    cost[:, 1] = 1.0 - torch.eye(2, device=device)
    cost[:, 0, :, 0] = 0.9
    assert path_of(strength, cost, [2])[0].tolist() == [0, 0]


def test_small_differences_count_after_thousands_of_frames():
    """Scores are kept as differences: after 6000 frames of strength 1, 1e-4 decides still."""
    strength = torch.ones(1, 6000, 2)
    strength[0, 5999, 1] += 1e-4
    never_mind = 10.0 * (1 - torch.eye(2)).expand(1, 6000, 2, 2)
    assert (path_of(strength, never_mind, [6000]) == 1).all()
