"""Fundamental frequency (F0) of the voice: the best path through the candidates of each frame.

Candidates by subharmonic summation (Hermes, J. Acoust. Soc. Am. 83(1), 1988; see `subharmonics`), and a voicing
threshold, as in eGeMAPS (Eyben et al., IEEE Trans. Affective Computing 7(2), 2016).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from data_contracts.errors import UsageError
from features.dsp import frames, spectrum, subharmonics, viterbi
from features.dsp.subharmonics import EGEMAPS_RANGE, FRAME_S, N_CANDIDATES, Candidates, F0Range

VERSION = "f0-3"
VOICING_THRESHOLD = 0.6998

# Costs of a path, in units of one change of voicing between two frames:
VOICED_BELOW_COST, UNVOICED_ABOVE_COST = 0.65, 0.8  # of a frame against the voicing threshold
WEAKNESS_COST = 40.0  # of a candidate, for each unit of strength below the frame's best
JUMP_COST, MAX_JUMP = 2.8, 0.42  # of an octave between two frames; octaves from which on a jump costs no more
QUIET_CHANGE_COST = 0.37  # of a change of voicing next to a frame too quiet to have candidates
_FORBIDDEN_COST = 1e3  # of a missing candidate


class F0Track(NamedTuple):
    """F0 and voicing by frame, both (batch, frames) float32."""

    f0_hz: Tensor  # 0 where unvoiced
    voicing: Tensor  # in [0, 1]: prominence of the best sum of harmonics over the mean


def f0_track(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1]
    lengths: Tensor,  # (batch,), valid samples
    *,
    sample_rate: int = 16_000,
    f0_min_hz: float = 55.0,
    f0_max_hz: float = 1000.0,
    hop_s: float = 0.010,
) -> F0Track:
    """Track F0 in Hz in [f0_min_hz, f0_max_hz], 0 where unvoiced, and voicing in [0, 1], for frames of 60 ms.

    The frame that starts at sample `t * hop` is column `t`. Frames beyond a row's length, silence and a constant give 0
    for both. Raises UsageError when the range is empty, begins below 30 Hz or ends beyond a quarter of the sample rate,
    or the shapes do not fit.
    """
    f0_range = F0Range(f0_min_hz, f0_max_hz)
    check_range(f0_range, sample_rate)
    window, hop = frames.to_samples(FRAME_S, sample_rate), frames.to_samples(hop_s, sample_rate)
    waveform = frames.zero_padding(frames.nan_to_zero(waveform), lengths)
    waveform = torch.nn.functional.pad(waveform, (0, max(0, window - waveform.shape[1])))
    width = frames.max_frames(waveform.shape[1], window=window, hop=hop)
    valid = frames.length_mask(frames.n_frames(lengths, window=window, hop=hop), width)
    return track_frames(waveform, valid, hop=hop, sample_rate=sample_rate, f0_range=f0_range)


def check_range(f0_range: F0Range, sample_rate: int) -> None:
    """Raise UsageError unless the range lies between 30 Hz and a quarter of the sample rate and spans some steps."""
    if not (f0_range.min_hz >= 30 and 1.1 * f0_range.min_hz <= f0_range.max_hz <= sample_rate / 4):
        raise UsageError(
            f"expected f0_min_hz of at least 30 Hz, and f0_max_hz from 1.1 times that to {sample_rate / 4:g} Hz, "
            f"found {f0_range.min_hz:g} to {f0_range.max_hz:g}: change the F0 range"
        )


def track_frames(
    waveform: Tensor,  # (batch, time), zero beyond each row's length, at least one frame long
    valid: Tensor,  # (batch, frames) bool
    *,
    hop: int,
    sample_rate: int,
    f0_range: F0Range = EGEMAPS_RANGE,
    spectra: Tensor | None = None,  # (batch, frames, bins): filled with the spectra used, if given
) -> F0Track:
    """Track F0 as `f0_track` does, of a waveform that is already padded, a chunk of frames at a time."""
    window = frames.to_samples(FRAME_S, sample_rate)
    candidates, first = [], 0
    for chunk in spectrum.iter_chunks(waveform, window=window, hop=hop):
        power = subharmonics.harmonic_power(frames.frame(chunk, window=window, hop=hop), sample_rate=sample_rate)
        candidates.append(subharmonics.find_candidates(power, sample_rate=sample_rate, f0_range=f0_range))
        if spectra is not None:
            spectra[:, first : first + power.shape[1]] = power
        first += power.shape[1]
    return decode_track(Candidates(*(torch.cat(parts, dim=1) for parts in zip(*candidates, strict=True))), valid)


def decode_track(
    candidates: Candidates,
    valid: Tensor,  # (batch, frames) bool
) -> F0Track:
    """Return the cheapest path through the candidates and the state `unvoiced`."""
    octaves = candidates.f0_hz.log2()
    best = candidates.strength[..., :1]
    above = best >= VOICING_THRESHOLD
    merit = torch.where(above, 0.0, -VOICED_BELOW_COST) - WEAKNESS_COST * (best - candidates.strength)
    merit = torch.where(candidates.strength < 0, -_FORBIDDEN_COST, merit)
    merit = torch.cat([merit, torch.where(above, -UNVOICED_ABOVE_COST, 0.0)], dim=-1)

    to_unvoiced = torch.where(candidates.strength[..., 0] < 0, QUIET_CHANGE_COST, 1.0)

    def jump_cost(first: int, last: int) -> Tensor:
        before = octaves[:, max(0, first - 1) : last - 1]
        before = torch.nn.functional.pad(
            before, (0, 0, last - first - before.shape[1], 0)
        )  # frame 0 has no predecessor
        jump = (before[..., :, None] - octaves[:, first:last, None, :]).abs()
        cost = torch.nn.functional.pad(JUMP_COST * jump.clamp_max(MAX_JUMP), (0, 1, 0, 1), value=1.0)
        cost[..., :-1, -1] = to_unvoiced[:, first:last, None]
        cost[..., -1, :-1] = torch.nn.functional.pad(to_unvoiced, (1, 0))[:, first:last, None]
        cost[..., -1, -1] = 0.0
        return cost

    path = viterbi.best_path(merit, jump_cost, valid)
    voiced = valid & (path < N_CANDIDATES)
    state = path.clamp_max(N_CANDIDATES - 1)[..., None]
    f0_hz = torch.where(voiced, candidates.f0_hz.gather(-1, state)[..., 0], 0.0)
    strength = torch.where(voiced, candidates.strength.gather(-1, state)[..., 0], candidates.strength[..., 0])
    return F0Track(f0_hz, torch.where(valid, strength.clamp_min(0), 0.0))
