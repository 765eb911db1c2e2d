"""Batches: every waveform once, a bounded size, zero padding, and halving when memory runs out."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from features.dsp import batching
from features.dsp.batching import (
    halve_on_oom,
    is_out_of_memory,
    map_batches,
    max_batch_samples,
    pad_batch,
    samples_for_memory,
    sorted_batches,
)

lengths = st.lists(st.integers(0, 100), max_size=40)


@given(lengths, st.integers(1, 300))
def test_every_index_comes_once_in_order_of_length(lengths, max_samples):
    order = [index for batch in sorted_batches(lengths, max_samples=max_samples) for index in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[index] for index in order] == sorted(lengths)


@given(lengths, st.integers(1, 300))
def test_the_padded_size_is_bounded_unless_one_is_alone(lengths, max_samples):
    for batch in sorted_batches(lengths, max_samples=max_samples):
        assert batch
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= max_samples


def test_no_waveform_makes_no_batch():
    assert list(sorted_batches([], max_samples=10)) == []


@given(st.lists(st.integers(0, 30), min_size=1, max_size=5))
def test_padding_is_zeros_behind_the_end(sizes):
    waveforms = [np.full(size, 1.0 + n, np.float32) for n, size in enumerate(sizes)]
    batch, lengths = pad_batch(waveforms, torch.device("cpu"))
    assert batch.dtype == torch.float32
    assert batch.shape == (len(sizes), max(sizes))
    assert lengths.tolist() == sizes
    for row, waveform, size in zip(batch, waveforms, sizes, strict=True):
        np.testing.assert_array_equal(row[:size], waveform)
        assert not row[size:].any()


def test_a_batch_is_on_the_requested_device(device):
    batch, lengths = pad_batch([np.ones(3, np.float32)], device)
    assert batch.device.type == lengths.device.type == device.type


@pytest.fixture(autouse=True)
def _forget_batch_sizes(monkeypatch):
    monkeypatch.setattr(batching, "_max_samples_after_oom", {})


def _energies(waveform, lengths):
    inside = torch.arange(waveform.shape[1], device=waveform.device) < lengths[:, None]
    return [float(energy) for energy in (waveform.square() * inside).sum(1)]


def _compute_within(n_samples, error):
    def compute(waveform, lengths):
        sizes.append(waveform.numel())
        if waveform.numel() > n_samples:
            raise error
        return _energies(waveform, lengths)

    sizes = compute.sizes = []
    return compute


def _waveforms(n):
    rng = np.random.default_rng(7)
    return [rng.standard_normal(size).astype(np.float32) for size in rng.integers(1_000, 9_000, n)]


def test_results_keep_the_order_of_the_waveforms(device):
    waveforms = _waveforms(20)
    found = map_batches(_energies, waveforms, device, max_samples=30_000)
    assert found == pytest.approx([float(np.square(waveform).sum()) for waveform in waveforms], rel=1e-4)
    assert map_batches(_energies, [], device, max_samples=30_000) == []


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError("no room")])
def test_a_batch_that_is_too_large_is_halved_with_the_same_result(device, error):
    waveforms = _waveforms(20)
    whole = map_batches(_energies, waveforms, device, max_samples=10**9)
    small = _compute_within(20_000, error)
    assert map_batches(small, waveforms, device, max_samples=10**9) == pytest.approx(whole, rel=1e-5)
    assert max(small.sizes) > 20_000, "it was tried whole"
    assert max_batch_samples(device) <= max(small.sizes) // 2, "and the next batch is smaller"


def test_one_row_that_is_too_large_is_an_error(device):
    with pytest.raises(MemoryError):
        halve_on_oom(_compute_within(10, MemoryError("no room")), *pad_batch(_waveforms(3), device))


def test_any_other_error_is_raised_at_once(device):
    broken = _compute_within(10, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes"):
        halve_on_oom(broken, *pad_batch(_waveforms(4), device))
    assert len(broken.sizes) == 1


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("std::bad_alloc: out_of_memory: RMM failure"), True),
        (RuntimeError("The size of tensor a must match"), False),
        (OSError("out of memory"), False),
    ],
)
def test_messages_of_allocators_mean_out_of_memory(error, is_memory):
    assert is_out_of_memory(error) is is_memory


def test_batch_size_is_a_minute_on_a_core_and_by_free_memory_on_a_gpu(monkeypatch):
    gpu = torch.device("cuda", 0)
    gib = 1 << 30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (20 * gib, 80 * gib))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 50 * gib)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 6 * gib)
    monkeypatch.setattr(torch.cuda, "get_allocator_backend", lambda: "native")
    assert max_batch_samples(torch.device("cpu")) == 60 * 16_000
    assert max_batch_samples(gpu) == samples_for_memory(64 * gib), "what the allocator keeps for later is free"
    monkeypatch.setattr(torch.cuda, "get_allocator_backend", lambda: "pluggable")
    assert max_batch_samples(gpu) == samples_for_memory(80 * gib), "a pool is ours"
    monkeypatch.setattr(batching, "_max_samples_after_oom", {"cuda": 5 * 16_000})
    assert max_batch_samples(gpu) == 5 * 16_000
