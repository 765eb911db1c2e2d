"""eGeMAPS of a row does not depend on its batch, padding, neighbours or chunks, and memory not on the length."""

import pytest
import torch
from helpers.voices import RATE, babble, pad
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from features.dsp import descriptors, spectrum
from features.dsp.gemaps import egemaps, egemaps_lld

TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.mark.parametrize("size", [1, 3])
def test_batch_matches_single(utterances, size, device):
    batched = egemaps(*pad(utterances[:size], device))
    by_frame = egemaps_lld(*pad(utterances[:size], device))
    for row, one in enumerate(utterances[:size]):
        torch.testing.assert_close(egemaps(*pad([one], device))[0], batched[row], **TOLERANCE)
        alone = egemaps_lld(*pad([one], device))
        n = alone.values.shape[1]
        torch.testing.assert_close(alone.values[0], by_frame.values[row, :n], rtol=1e-3, atol=1e-2)
        assert torch.equal(alone.voiced[0], by_frame.voiced[row, :n])


@pytest.mark.parametrize(("spare", "filling"), [(1, 0.9), (160, float("nan")), (5001, -0.5)])
def test_padding_is_ignored(spare, filling, utterances, device):
    wide = egemaps(*pad(utterances, device, spare=spare, filling=filling))
    torch.testing.assert_close(wide, egemaps(*pad(utterances, device)), **TOLERANCE)


def test_a_neighbour_of_minutes_changes_no_row(utterances, device):
    minutes = [*utterances, torch.zeros(90 * RATE)]
    batched = egemaps(*pad(minutes, device))[:3]
    torch.testing.assert_close(batched, egemaps(*pad(utterances, device)), **TOLERANCE)


@given(
    cuts=st.lists(st.tuples(st.integers(0, 15_000), st.integers(0, 12_000)), min_size=1, max_size=4),
    spare=st.integers(0, 2000),
)
@example(cuts=[(0, 140), (0, 1280)], spare=0)
@example(cuts=[(13_418, 140), (655, 1280)], spare=0)  # of 4,000 such pairs, the closest to the limit
@example(cuts=[(2941, 140), (4244, 1280)], spare=0)
@example(cuts=[(3000, 1280), (3000, 140), (9000, 1279)], spare=500)
@settings(max_examples=25, derandomize=True)
def test_rows_of_any_lengths_match_single(cuts, spare):
    """Tolerance 1e-3: the predictors of a few frames of a clean voice magnify the rounding of products.

    Rows of 140 and 1280 samples once differed from the single ones on another machine: see `formants.NOISE_FLOOR`.
    """
    waveforms = [babble()[begin : begin + length] for begin, length in cuts]
    batched = egemaps(*pad(waveforms, spare=spare))
    assert batched.isfinite().all()
    for one, row in zip(waveforms, batched, strict=True):
        torch.testing.assert_close(egemaps(*pad([one]))[0], row, rtol=1e-3, atol=1e-3)


@pytest.mark.corpora
def test_rows_of_real_clips_match_single(speech):
    batched = egemaps(*pad(speech, spare=777))
    alone = torch.cat([egemaps(*pad([clip])) for clip in speech])
    torch.testing.assert_close(batched, alone, **TOLERANCE)
    assert batched.isfinite().all()


def test_chunks_and_recomputed_spectra_change_nothing(device, monkeypatch):
    """13 s are more frames than one chunk, of voiced ones too."""
    batch = pad([babble(13 * RATE), babble(5 * RATE)], device)
    whole = egemaps(*batch)
    monkeypatch.setitem(spectrum.CHUNK_FRAMES, device.type, 101)
    torch.testing.assert_close(egemaps(*batch), whole, **TOLERANCE)
    monkeypatch.setitem(descriptors.MAX_KEPT_FRAMES, device.type, 0)  # spectra are computed a second time
    torch.testing.assert_close(egemaps(*batch), whole, **TOLERANCE)


class _PeakMemory(TorchDispatchMode):
    """Peak memory of the results of operations, in bytes."""

    def __init__(self):
        super().__init__()
        self.n_bytes, self._storages = 0, {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for part in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(part, torch.Tensor):
                storage = part.untyped_storage()
                reference = StorageWeakRef(storage)
                self._storages[reference.cdata] = (reference, storage.nbytes())
        self._storages = {key: one for key, one in self._storages.items() if not one[0].expired()}
        self.n_bytes = max(self.n_bytes, sum(n_bytes for _, n_bytes in self._storages.values()))
        return result


def test_memory_does_not_grow_with_the_frames(monkeypatch):
    """30 s in chunks of 128 frames need a few times the waveform's size, and 4 MB for the chunks."""
    monkeypatch.setitem(spectrum.CHUNK_FRAMES, "cpu", 128)
    monkeypatch.setitem(descriptors.MAX_KEPT_FRAMES, "cpu", 1000)
    waveform, lengths = babble(30 * RATE)[None], torch.tensor([30 * RATE])
    egemaps(waveform[:, :RATE], torch.tensor([RATE]))  # fills the caches
    with _PeakMemory() as peak:
        egemaps(waveform, lengths)
    assert peak.n_bytes <= 4 * waveform.nbytes + 4e6
