"""The voice's fundamental frequency, and how periodic each frame is.

Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled
sound", IFA Proceedings 17, 1993: the frame's autocorrelation divided by its window's, a cost for low octaves, and the
cheapest path through each frame's candidates. Where Boersma interpolates with a sinc, the autocorrelation here is
low-passed, so that a parabola does.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from data_contracts.errors import UsageError
from features import frames
from features.spectrum import hann

VERSION = "f0-1"
PERIODS = 3  # of the lowest F0 in the analysis window
N_CANDIDATES = 5
PASS_HZ, STOP_HZ = 2000.0, 4000.0  # where the low-pass on the autocorrelation begins and ends
QUIET = 1e-10  # mean square below which a frame is silence: rounding to 16 bits alone makes more
CHUNK_FRAMES = 1024  # frames in flight at once: bounds memory, and fits a core's cache

VOICING_THRESHOLD = 0.5  # Praat's 0.45, raised because the low-pass takes noise away
SILENCE_THRESHOLD = 0.03  # of the row's largest sample
OCTAVE_COST, OCTAVE_JUMP_COST, VOICING_CHANGE_COST = 0.01, 0.35, 0.14  # Praat's, for a hop of 10 ms
_NEVER = 1e4  # a cost that no path accepts


class F0Track(NamedTuple):
    """What `f0_track` finds, both (batch, frames) float32."""

    f0_hz: Tensor  # 0 where unvoiced
    voicing: Tensor  # in [0, 1]: the share of the frame's energy that repeats with the period


class _Search(NamedTuple):
    sample_rate: int
    f0_min_hz: float
    f0_max_hz: float


class _Candidates(NamedTuple):
    f0_hz: Tensor  # (batch, frames, N_CANDIDATES)
    periodicity: Tensor  # the same; -1 where there was no candidate
    peak: Tensor  # (batch, frames): the largest absolute sample
    quiet: Tensor  # (batch, frames) bool


def f0_track(
    waveform: Tensor,  # (batch, time), float32 in [-1, 1]
    lengths: Tensor,  # (batch,), valid samples
    *,
    sample_rate: int = 16_000,
    f0_min_hz: float = 55.0,
    f0_max_hz: float = 600.0,
    hop_s: float = 0.010,
    frame_s: float = 0.025,
) -> F0Track:
    """F0 in Hz within [f0_min_hz, f0_max_hz], 0 where unvoiced, and voicing in [0, 1], on the frames of `log_mel`.

    The analysis window, three periods of `f0_min_hz`, lies centred on each frame of `frame_s`. Frames beyond a row's
    own are 0 and 0, and so are silence and a constant. Raises UsageError when the range is empty or beyond a quarter of
    the sample rate, or the shapes do not fit.
    """
    if not 0 < f0_min_hz < f0_max_hz <= sample_rate / 4:
        raise UsageError(
            f"expected 0 < f0_min_hz < f0_max_hz <= {sample_rate / 4:g} Hz, found {f0_min_hz:g} to {f0_max_hz:g}: "
            "change the F0 range"
        )
    grid, hop = frames.samples(frame_s, sample_rate), frames.samples(hop_s, sample_rate)
    width = frames.room(waveform.shape[1], window=grid, hop=hop)
    valid = frames.mask(frames.count(lengths, window=grid, hop=hop), width)
    found = _candidates(
        frames.silence_padding(waveform, lengths),
        width,
        grid=grid,
        hop=hop,
        search=_Search(sample_rate, f0_min_hz, f0_max_hz),
    )
    loudest = torch.where(valid, found.peak, 0.0).amax(-1, keepdim=True)
    quietness = 2 - found.peak / loudest.clamp_min(1e-9) * (1 + VOICING_THRESHOLD) / SILENCE_THRESHOLD
    unvoiced = VOICING_THRESHOLD + torch.where(found.quiet, 2.0, quietness.clamp_min(0))
    octaves = (found.f0_hz / f0_min_hz).log2()
    strength = torch.cat([found.periodicity + OCTAVE_COST * octaves, unvoiced[..., None]], dim=-1)
    path = _best_path(strength, octaves, valid)
    voiced = valid & (path < N_CANDIDATES)
    chosen = path.clamp_max(N_CANDIDATES - 1)[..., None]
    f0_hz = torch.where(voiced, found.f0_hz.gather(-1, chosen)[..., 0], 0.0)
    periodicity = torch.where(voiced, found.periodicity.gather(-1, chosen)[..., 0], found.periodicity.amax(-1))
    return F0Track(f0_hz, torch.where(valid & ~found.quiet, periodicity.clamp(0, 1), 0.0))


def _candidates(waveform: Tensor, width: int, *, grid: int, hop: int, search: _Search) -> _Candidates:
    window = frames.samples(PERIODS / search.f0_min_hz, search.sample_rate)
    before = max(0, window - grid) // 2
    behind = (width - 1) * hop + window - before - waveform.shape[1]
    padded = torch.nn.functional.pad(waveform, (before, max(0, behind)))
    step = max(1, CHUNK_FRAMES // max(1, waveform.shape[0]))
    chunks = []
    for first in range(0, width, step):
        last = min(first + step, width)
        framed = frames.split(padded[:, first * hop : (last - 1) * hop + window], window=window, hop=hop)
        chunks.append(_peaks(framed - framed.mean(-1, keepdim=True), search))
    return _Candidates(*(torch.cat(parts, dim=1) for parts in zip(*chunks, strict=True)))


def _peaks(framed: Tensor, search: _Search) -> _Candidates:
    """The strongest maxima of each frame's normalised autocorrelation, refined by a parabola."""
    window = framed.shape[-1]
    sample_rate, f0_min_hz, f0_max_hz = search
    shortest, longest = math.ceil(sample_rate / f0_max_hz), math.floor(sample_rate / f0_min_hz)
    n_fft = _fast_size(window + longest + 2)
    spectrum: Tensor = torch.fft.rfft(framed * hann(window, framed.device), n=n_fft)
    power = (spectrum.real.square() + spectrum.imag.square()) * _low_pass(n_fft, sample_rate, framed.device)
    autocorrelation: Tensor = torch.fft.irfft(power, n=n_fft)
    energy = autocorrelation[..., :1].clamp_min(1e-20)
    around = autocorrelation[..., shortest - 1 : longest + 2] / energy
    around = around * _window_correction(window, n_fft, framed.device)[shortest - 1 : longest + 2]

    left, centre, right = around[..., :-2], around[..., 1:-1], around[..., 2:]
    lags = torch.arange(shortest, longest + 1, device=framed.device, dtype=framed.dtype)
    is_peak = (centre > left) & (centre >= right) & (centre > 0)
    ranked = torch.where(is_peak, centre - OCTAVE_COST * lags.log2(), -_NEVER)
    best = ranked.topk(min(N_CANDIDATES, lags.numel()), dim=-1)
    left, centre, right = (part.gather(-1, best.indices) for part in (left, centre, right))
    bend = (2 * centre - left - right).clamp_min(1e-9)
    shift = (0.5 * (right - left) / bend).clamp(-0.5, 0.5)
    height = centre + 0.25 * (right - left) * shift
    height = torch.where(height > 1, 1 / height, height)  # the correction can overshoot: Boersma reflects it
    real = best.values > -_NEVER / 2
    lag = torch.where(real, lags[best.indices] + shift, float(longest))
    f0_hz = (sample_rate / lag).clamp(f0_min_hz, f0_max_hz)
    return _Candidates(
        f0_hz,
        torch.where(real, height, -1.0),
        framed.abs().amax(-1),
        framed.square().mean(-1) < QUIET,
    )


def _best_path(strength: Tensor, octaves: Tensor, valid: Tensor) -> Tensor:
    """Viterbi over every row at once: the state (batch, frames) with the best sum; the last state is `unvoiced`.

    Rows end at their own last frame: beyond it a state only leads to itself.
    """
    n_states = strength.shape[-1]
    jump = OCTAVE_JUMP_COST * (octaves[:, :-1, :, None] - octaves[:, 1:, None, :]).abs()
    jump = torch.nn.functional.pad(jump, (0, 1, 0, 1), value=VOICING_CHANGE_COST)
    jump[..., -1, -1] = 0.0
    stay = _NEVER * (1 - torch.eye(n_states, device=strength.device))
    jump = torch.where(valid[:, 1:, None, None], jump, stay).movedim(1, 0).contiguous()
    strength = torch.where(valid[..., None], strength, 0.0).movedim(1, 0).contiguous()

    score, origins = strength[0], []
    for here, cost in zip(strength[1:], jump, strict=True):
        score, origin = (score[:, :, None] - cost).max(dim=1)
        score = score + here
        origins.append(origin)
    state = score.argmax(-1, keepdim=True)
    path = [state]
    for origin in reversed(origins):
        state = origin.gather(-1, state)
        path.append(state)
    return torch.cat(path[::-1], dim=-1)


@lru_cache(maxsize=32)
def _low_pass(n_fft: int, sample_rate: int, device: torch.device) -> Tensor:
    hz = torch.arange(n_fft // 2 + 1, device=device) * (sample_rate / n_fft)
    fall = ((hz - PASS_HZ) / (STOP_HZ - PASS_HZ)).clamp(0, 1)
    return 0.5 + 0.5 * torch.cos(math.pi * fall)


@lru_cache(maxsize=32)
def _window_correction(window: int, n_fft: int, device: torch.device) -> Tensor:
    power = torch.fft.rfft(hann(window, device), n=n_fft).abs().square()
    autocorrelation: Tensor = torch.fft.irfft(power, n=n_fft)
    return autocorrelation[0] / autocorrelation.clamp_min(1e-6 * float(autocorrelation[0]))


def _fast_size(least: int) -> int:
    """The next even size of factors 2, 3 and 5, which FFTs are quick at."""
    size = least + least % 2
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 2
