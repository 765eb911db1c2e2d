"""What a recording can suffer, for training: rooms, noise, narrow channels. The voice is to be learnt, not the file."""

import math

import torch
from torch import Tensor

_TAIL = 8_000  # samples that a room may ring on
_RATE = 16_000
_LONGEST, _WIDEST = 20, 10  # frames and bands that are masked, at most


def disturb(
    waveform: Tensor,  # (batch, time), float32 at 16 kHz
    random: torch.Generator,
) -> Tensor:  # (batch, time)
    """Each row in its own room, with its own noise, through its own channel; one in five stays as it is."""
    size = waveform.shape[1]
    spectrum = torch.fft.rfft(waveform, n=size + _TAIL)
    spectrum = spectrum * torch.fft.rfft(room_responses(len(waveform), random), n=size + _TAIL)
    spectrum = spectrum + background_noise(spectrum, random)
    spectrum = spectrum * channel_gains(len(waveform), spectrum.shape[1], random)
    disturbed: Tensor = torch.fft.irfft(spectrum, n=size + _TAIL)[:, :size]
    clean = _uniform(len(waveform), 0, 1, random) < 0.2
    return torch.where(clean, waveform, disturbed)


def rerecord(
    waveform: Tensor,  # (batch, time), float32 at 16 kHz
    random: torch.Generator,
) -> Tensor:  # (batch, time)
    """Each row as another microphone in another room would have heard it, at another level; still easy to follow."""
    size = waveform.shape[1]
    spectrum = torch.fft.rfft(waveform, n=size + _TAIL)
    spectrum = spectrum * torch.fft.rfft(room_responses(len(waveform), random), n=size + _TAIL)
    spectrum = spectrum * equaliser_gains(len(waveform), spectrum.shape[1], random)
    spectrum = spectrum + background_noise(spectrum, random, babble=0.0, least_db=15, most_db=50)
    heard: Tensor = torch.fft.irfft(spectrum, n=size + _TAIL)[:, :size]
    return heard * 10 ** (_uniform(len(waveform), -15, 10, random) / 20)


def room_responses(n: int, random: torch.Generator) -> Tensor:
    """(n, _TAIL) impulse responses: a direct sound and, in half of them, exponentially decaying noise behind it."""
    time_s = torch.arange(_TAIL) / _RATE
    decay_s = _uniform(n, 0.1, 0.7, random)  # until 60 dB below
    tail = torch.randn(n, _TAIL, generator=random) * torch.exp(-math.log(1000) * time_s / decay_s)
    ratio_db = _uniform(n, 0, 20, random)
    tail = tail / tail.norm(dim=1, keepdim=True) * 10 ** (-ratio_db / 20)
    tail = torch.where(_uniform(n, 0, 1, random) < 0.5, tail, 0.0)
    tail[:, 0] = 1.0
    return tail


def background_noise(
    spectrum: Tensor,  # (batch, bins)
    random: torch.Generator,
    *,
    babble: float = 0.3,
    least_db: float = 5,
    most_db: float = 35,
) -> Tensor:  # (batch, bins)
    """Noise between white and brown below each row; in a share of `babble` of them another row's voice instead."""
    n, bins = spectrum.shape
    slope = _uniform(n, 0, 2, random)
    shape = torch.arange(1, bins + 1).float() ** (-slope / 2)
    coloured = torch.complex(torch.randn(n, bins, generator=random), torch.randn(n, bins, generator=random)) * shape
    voices = spectrum.roll(1, dims=0)
    chosen = _uniform(n, 0, 1, random) < babble
    added = torch.where(chosen, voices, coloured)
    ratio_db = torch.where(chosen, _uniform(n, 10, 30, random), _uniform(n, least_db, most_db, random))
    level = spectrum.abs().norm(dim=1, keepdim=True) / added.abs().norm(dim=1, keepdim=True).clamp_min(1e-9)
    quieter: Tensor = added * level * 10 ** (-ratio_db / 20)
    return quieter


def equaliser_gains(n: int, bins: int, random: torch.Generator) -> Tensor:
    """(n, bins) gains: a smooth random curve of about 3 dB, its knots an octave apart."""
    octave = (torch.linspace(0, _RATE / 2, bins).clamp_min(62.5) / 62.5).log2()  # 0 to 7
    knots_db = torch.randn(n, 8, generator=random) * 3
    below = octave.floor().clamp_max(6).long()
    share = octave - below
    curve_db = knots_db[:, below] * (1 - share) + knots_db[:, below + 1] * share
    gains: Tensor = 10 ** (curve_db / 20)
    return gains


def channel_gains(n: int, bins: int, random: torch.Generator) -> Tensor:
    """(n, bins) gains: in 4 of 10 rows a band limit like a telephone's or a codec's."""
    hz = torch.linspace(0, _RATE / 2, bins)
    low_hz, high_hz = _uniform(n, 50, 400, random), _uniform(n, 3_200, 7_800, random)
    band = torch.sigmoid((hz - low_hz) / 20) * torch.sigmoid((high_hz - hz) / 60)
    return torch.where(_uniform(n, 0, 1, random) < 0.4, band, 1.0)


def recolour(
    waveform: Tensor,  # (batch, time), float32 at 16 kHz
    random: torch.Generator,
    *,
    most_db: float = 5.0,
) -> Tensor:  # (batch, time)
    """Half of the rows with another vocal effort, up to `most_db` an octave more or less from 500 Hz to 4 kHz; half
    through another microphone's curve."""
    n, spectrum = len(waveform), torch.fft.rfft(waveform)
    octave = (torch.linspace(0, _RATE / 2, spectrum.shape[1]).clamp(500, 4_000) / 500).log2()
    slope_db = _uniform(n, -most_db, most_db, random)
    slope_db = torch.where(_uniform(n, 0, 1, random) < 0.5, slope_db, 0.0)
    gains = 10 ** (slope_db * octave / 20)
    curve = equaliser_gains(n, spectrum.shape[1], random)
    gains = gains * torch.where(_uniform(n, 0, 1, random) < 0.5, curve, 1.0)
    recoloured: Tensor = torch.fft.irfft(spectrum * gains, n=waveform.shape[1])
    return recoloured


def mask_bands(
    bands: Tensor,  # (batch, frames, n_mels), each band's mean is zero
    random: torch.Generator,
) -> Tensor:
    """One stretch of frames and one of bands set to zero in each row (SpecAugment, Park et al., Interspeech 2019)."""
    n, frames, n_mels = bands.shape
    hidden = _stretch(n, frames, _LONGEST, random)[:, :, None] | _stretch(n, n_mels, _WIDEST, random)[:, None, :]
    return bands.masked_fill(hidden, 0.0)


def _stretch(n: int, size: int, longest: int, random: torch.Generator) -> Tensor:
    length = torch.randint(0, longest + 1, (n, 1), generator=random)
    start = torch.randint(0, max(1, size - longest), (n, 1), generator=random)
    place = torch.arange(size)
    return (place >= start) & (place < start + length)


def _uniform(n: int, low: float, high: float, random: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, 1, generator=random)
