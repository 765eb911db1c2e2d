"""Pitch and formant shifts for training: another voice, or the same voice at another pitch.

Resampling moves pitch and formants alike, as a longer or shorter vocal tract would: another voice. Moving the spectral
envelope back leaves the voice and changes its pitch and tempo, as anger and sadness do.
"""

from functools import lru_cache

import numpy as np
import soxr
import torch
from torch import Tensor

from features.decode.config import SAMPLE_RATE

_N_FFT, _HOP = 1024, 256
_N_KEPT_QUEFRENCIES, _N_QUEFRENCIES = 24, 40  # all up to 1.5 ms, none from 2.5 ms, where a voice's periods begin
_MAX_GAIN = 2.5  # nepers; a band that resampling emptied stays quiet


def change_voice(
    waveform: np.ndarray,  # (time,) float32 at 16 kHz
    *,
    speed: float,
    pitch: float = 1.0,
) -> np.ndarray:  # (time / (speed · pitch),) float32
    """Move the formants up by `speed`, which is another voice, and its pitch and tempo by `speed · pitch`."""
    ratio = speed * pitch
    moved = waveform if ratio == 1.0 else soxr.resample(waveform, SAMPLE_RATE * ratio, SAMPLE_RATE, quality="MQ")
    if pitch == 1.0:
        return np.asarray(moved, np.float32)
    return _scale_envelope(torch.from_numpy(np.ascontiguousarray(moved, np.float32)), pitch).numpy()


def vary_pitch(
    waveform: np.ndarray,  # (time,) float32 at 16 kHz
    random: np.random.Generator,
    *,
    speed: float,
    octaves: tuple[float, float],
    piece_s: float = 3.0,
) -> np.ndarray:
    """Apply `change_voice` with a new pitch every `piece_s`, drawn between the `octaves` below and above."""
    pieces = np.array_split(waveform, max(1, round(len(waveform) / SAMPLE_RATE / piece_s)))
    pitches = 2.0 ** random.uniform(*octaves, size=len(pieces))
    return np.concatenate(
        [change_voice(piece, speed=speed, pitch=pitch) for piece, pitch in zip(pieces, pitches, strict=True)]
    )


def _scale_envelope(
    waveform: Tensor,  # (time,)
    pitch: float,
) -> Tensor:  # (time,)
    """Replace each frame's cepstrally smoothed envelope E(f) by E(f · pitch); the harmonics stay where they are."""
    taper = torch.hann_window(_N_FFT)
    if len(waveform) < _N_FFT:
        return waveform
    spectrum = torch.stft(waveform, _N_FFT, _HOP, window=taper, return_complex=True).T  # (frames, bins)
    level = (spectrum.abs() + 1e-5).log()
    gain = (level @ _envelope_shift_matrix(pitch)).clamp(-_MAX_GAIN, _MAX_GAIN).exp()
    return torch.istft((spectrum * gain).T, _N_FFT, _HOP, window=taper, length=len(waveform))


def _envelope_shift_matrix(pitch: float) -> Tensor:
    """Return (bins, bins), the linear map from a frame's log magnitude to the log gain that moves its envelope."""
    bins = _N_FFT // 2 + 1
    place = (torch.arange(bins) * pitch).clamp_max(bins - 1)
    below = place.floor().long().clamp_max(bins - 2)
    share = (place - below)[None]
    smooth = _envelope_matrix()
    return smooth[:, below] * (1 - share) + smooth[:, below + 1] * share - smooth


@lru_cache(maxsize=1)
def _envelope_matrix() -> Tensor:
    """Return (bins, bins), from log magnitude to its envelope by the first quefrencies of the real cepstrum."""
    bins = _N_FFT // 2 + 1
    cepstra = torch.fft.irfft(torch.eye(bins, dtype=torch.float64), dim=1)  # (bins, n_fft)
    lifter = torch.zeros(_N_FFT, dtype=torch.float64)
    beyond = (torch.arange(_N_QUEFRENCIES, dtype=torch.float64) - _N_KEPT_QUEFRENCIES).clamp_min(0) / (
        _N_QUEFRENCIES - _N_KEPT_QUEFRENCIES
    )
    fade = 0.5 + 0.5 * torch.cos(torch.pi * beyond)
    lifter[:_N_QUEFRENCIES] = fade
    lifter[-_N_QUEFRENCIES + 1 :] = fade[1:].flip(0)
    envelope: Tensor = torch.fft.rfft(cepstra * lifter, dim=1).real.float()
    return envelope
