"""Resources of a worker on a CPU and beside a GPU."""

import pytest
import torch

from features import resources
from features.resources import Resources, count_decoders


def test_a_worker_on_a_core_has_one_decoder():
    assert count_decoders(0) == 1


@pytest.mark.parametrize(("n_cores", "n_gpus", "n_decoders"), [(16, 1, 15), (128, 8, 15), (2, 4, 1)])
def test_a_gpu_has_its_share_of_the_cores_decode_for_it(monkeypatch, n_cores, n_gpus, n_decoders):
    monkeypatch.setattr(resources.os, "sched_getaffinity", lambda _: set(range(n_cores)), raising=False)
    assert count_decoders(n_gpus) == n_decoders
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    settled = Resources(n_decoders=0).fit_to_machine()
    assert (settled.n_decoders, settled.n_readers) == (n_decoders, max(16, 2 * n_decoders))
    assert settled.fit_to_machine() == settled


def test_a_gpu_computes_more_together_where_memory_has_room_for_it(monkeypatch):
    assert Resources(memory_mb=8_000).fit_to_machine().block_s == 900
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert Resources(memory_mb=8_000).fit_to_machine().block_s == 3_600
    assert Resources(memory_mb=1_500).fit_to_machine().block_s == Resources(memory_mb=1_500).block_s < 900


def test_explicit_settings_are_kept():
    assert Resources(n_decoders=3, n_readers=2).fit_to_machine() == Resources(n_decoders=3, n_readers=2)
