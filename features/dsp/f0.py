"""The voice's fundamental frequency: the best path through the candidates of each frame.

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

# What a path pays, in changes of voicing between two frames:
VOICED_BELOW, UNVOICED_ABOVE = 0.65, 0.8  # a frame that the threshold would have had otherwise
WEAKER = 40.0  # a candidate, for each unit of strength below the frame's best
JUMP, DEAREST_JUMP = 2.8, 0.42  # an octave between two frames; octaves from which on a jump costs no more
AT_QUIET = 0.37  # a change of voicing next to a frame too quiet to have candidates
_NEVER = 1e3  # what a candidate costs that is none


class F0Track(NamedTuple):
    """What `f0_track` finds, both (batch, frames) float32."""

    f0_hz: Tensor  # 0 where unvoiced
    voicing: Tensor  # in [0, 1]: how far the best sum of harmonics stands out from the mean


def f0_track(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1]
    lengths: Tensor,  # (batch,), valid samples
    *,
    sample_rate: int = 16_000,
    f0_min_hz: float = 55.0,
    f0_max_hz: float = 1000.0,
    hop_s: float = 0.010,
) -> F0Track:
    """F0 in Hz within [f0_min_hz, f0_max_hz], 0 where unvoiced, and voicing in [0, 1], for frames of 60 ms.

    The frame that starts at sample `t * hop` is column `t`; frames beyond a row's own are 0 and 0, and so are silence
    and a constant. Raises UsageError when the range is empty, begins below 30 Hz or ends beyond a quarter of the sample
    rate, or the shapes do not fit.
    """
    within = F0Range(f0_min_hz, f0_max_hz)
    check_range(within, sample_rate)
    window, hop = frames.to_samples(FRAME_S, sample_rate), frames.to_samples(hop_s, sample_rate)
    waveform = frames.zero_padding(frames.nan_to_zero(waveform), lengths)
    waveform = torch.nn.functional.pad(waveform, (0, max(0, window - waveform.shape[1])))
    width = frames.max_frames(waveform.shape[1], window=window, hop=hop)
    valid = frames.length_mask(frames.n_frames(lengths, window=window, hop=hop), width)
    return track_of(waveform, valid, hop=hop, sample_rate=sample_rate, within=within)


def check_range(within: F0Range, sample_rate: int) -> None:
    """Raises UsageError unless the range lies between 30 Hz and a quarter of the sample rate and spans some steps."""
    if not (within.min_hz >= 30 and 1.1 * within.min_hz <= within.max_hz <= sample_rate / 4):
        raise UsageError(
            f"expected f0_min_hz of at least 30 Hz, and f0_max_hz from 1.1 times that to {sample_rate / 4:g} Hz, "
            f"found {within.min_hz:g} to {within.max_hz:g}: change the F0 range"
        )


def track_of(
    waveform: Tensor,  # (batch, time), zero beyond each row's length, at least one frame long
    valid: Tensor,  # (batch, frames) bool: each row's own frames
    *,
    hop: int,
    sample_rate: int,
    within: F0Range = EGEMAPS_RANGE,
    spectra: Tensor | None = None,  # (batch, frames, bins) to be filled, where they are wanted
) -> F0Track:
    """The same of a waveform that is prepared, a stretch of frames at a time."""
    window = frames.to_samples(FRAME_S, sample_rate)
    found, first = [], 0
    for stretch in spectrum.stretches(waveform, window=window, hop=hop):
        power = subharmonics.harmonic_power(frames.frame(stretch, window=window, hop=hop), sample_rate=sample_rate)
        found.append(subharmonics.candidates(power, sample_rate=sample_rate, within=within))
        if spectra is not None:
            spectra[:, first : first + power.shape[1]] = power
        first += power.shape[1]
    return best_track(Candidates(*(torch.cat(parts, dim=1) for parts in zip(*found, strict=True))), valid)


def best_track(
    found: Candidates,
    valid: Tensor,  # (batch, frames) bool
) -> F0Track:
    """The cheapest way through the candidates and the state `unvoiced`."""
    octaves = found.f0_hz.log2()
    best = found.strength[..., :1]
    above = best >= VOICING_THRESHOLD
    merit = torch.where(above, 0.0, -VOICED_BELOW) - WEAKER * (best - found.strength)
    merit = torch.where(found.strength < 0, -_NEVER, merit)
    merit = torch.cat([merit, torch.where(above, -UNVOICED_ABOVE, 0.0)], dim=-1)

    to_unvoiced = torch.where(found.strength[..., 0] < 0, AT_QUIET, 1.0)

    def jump_cost(first: int, last: int) -> Tensor:
        before = octaves[:, max(0, first - 1) : last - 1]
        before = torch.nn.functional.pad(before, (0, 0, last - first - before.shape[1], 0))  # frame 0 has none before
        jump = (before[..., :, None] - octaves[:, first:last, None, :]).abs()
        cost = torch.nn.functional.pad(JUMP * jump.clamp_max(DEAREST_JUMP), (0, 1, 0, 1), value=1.0)
        cost[..., :-1, -1] = to_unvoiced[:, first:last, None]
        cost[..., -1, :-1] = torch.nn.functional.pad(to_unvoiced, (1, 0))[:, first:last, None]
        cost[..., -1, -1] = 0.0
        return cost

    path = viterbi.best_path(merit, jump_cost, valid)
    voiced = valid & (path < N_CANDIDATES)
    chosen = path.clamp_max(N_CANDIDATES - 1)[..., None]
    f0_hz = torch.where(voiced, found.f0_hz.gather(-1, chosen)[..., 0], 0.0)
    strength = torch.where(voiced, found.strength.gather(-1, chosen)[..., 0], found.strength[..., 0])
    return F0Track(f0_hz, torch.where(valid, strength.clamp_min(0), 0.0))
