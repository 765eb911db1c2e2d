"""Data augmentation for training: rooms, noise and narrow channels, so that a model learns the voice, not the file."""

import math

import torch
from torch import Tensor

_TAIL_SAMPLES = 8_000  # longest reverberation of a room
_RATE = 16_000
_MAX_MASKED_FRAMES, _MAX_MASKED_BANDS = 20, 10
_HUM_HARMONICS = 6


def disturb(
    waveform: Tensor,  # (batch, time), float32 at 16 kHz
    random: torch.Generator,
) -> Tensor:  # (batch, time)
    """Give each row its own room, noise and channel; one row in five stays as it is."""
    size = waveform.shape[1]
    spectrum = torch.fft.rfft(waveform, n=size + _TAIL_SAMPLES)
    spectrum = spectrum * torch.fft.rfft(room_responses(len(waveform), random), n=size + _TAIL_SAMPLES)
    spectrum = spectrum + background_noise(spectrum, random)
    spectrum = spectrum * channel_gains(len(waveform), spectrum.shape[1], random)
    disturbed: Tensor = torch.fft.irfft(spectrum, n=size + _TAIL_SAMPLES)[:, :size]
    clean = _uniform(len(waveform), 0, 1, random) < 0.2
    return torch.where(clean, waveform, disturbed)


def rerecord(
    waveform: Tensor,  # (batch, time), float32 at 16 kHz
    random: torch.Generator,
) -> Tensor:  # (batch, time)
    """Render each row through another microphone, in another room, at another level; it stays easy to follow."""
    size = waveform.shape[1]
    spectrum = torch.fft.rfft(waveform, n=size + _TAIL_SAMPLES)
    spectrum = spectrum * torch.fft.rfft(room_responses(len(waveform), random), n=size + _TAIL_SAMPLES)
    spectrum = spectrum * equaliser_gains(len(waveform), spectrum.shape[1], random)
    spectrum = spectrum + background_noise(spectrum, random, babble=0.0, min_snr_db=15, max_snr_db=50)
    rerecorded: Tensor = torch.fft.irfft(spectrum, n=size + _TAIL_SAMPLES)[:, :size]
    return rerecorded * 10 ** (_uniform(len(waveform), -15, 10, random) / 20)


def add_hum(
    waveform: Tensor,  # (batch, time), float32 at 16 kHz
    random: torch.Generator,
) -> Tensor:  # (batch, time)
    """Add an offset of up to 5 % and mains hum of 50 or 60 Hz, 5 to 35 dB below each row, with five harmonics."""
    n, size = waveform.shape
    turns = torch.arange(size) / _RATE * torch.where(_uniform(n, 0, 1, random) < 0.5, 50.0, 60.0)
    level = waveform.square().mean(1, keepdim=True).sqrt() * 10 ** (-_uniform(n, 5, 35, random) / 20)
    hum = _uniform(n, -0.05, 0.05, random).expand(n, size)
    for nth in range(1, _HUM_HARMONICS + 1):
        fall_db = torch.zeros(n, 1) if nth == 1 else _uniform(n, 5, 35, random)
        phase = _uniform(n, 0, 1, random)
        hum = hum + level * 2**0.5 * 10 ** (-fall_db / 20) * torch.sin(2 * math.pi * ((nth * turns + phase) % 1))
    return waveform + hum


def room_responses(n: int, random: torch.Generator) -> Tensor:
    """Return impulse responses (n, _TAIL_SAMPLES): direct sound and, in half of them, exponentially decaying noise."""
    time_s = torch.arange(_TAIL_SAMPLES) / _RATE
    decay_s = _uniform(n, 0.1, 0.7, random)  # until 60 dB below
    tail = torch.randn(n, _TAIL_SAMPLES, generator=random) * torch.exp(-math.log(1000) * time_s / decay_s)
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
    min_snr_db: float = 5,
    max_snr_db: float = 35,
) -> Tensor:  # (batch, bins)
    """Return noise between white and brown below each row; in a share `babble` of the rows another row's voice."""
    n, bins = spectrum.shape
    slope = _uniform(n, 0, 2, random)
    shape = torch.arange(1, bins + 1).float() ** (-slope / 2)
    coloured = torch.complex(torch.randn(n, bins, generator=random), torch.randn(n, bins, generator=random)) * shape
    voices = spectrum.roll(1, dims=0)
    is_babble = _uniform(n, 0, 1, random) < babble
    added = torch.where(is_babble, voices, coloured)
    ratio_db = torch.where(is_babble, _uniform(n, 10, 30, random), _uniform(n, min_snr_db, max_snr_db, random))
    level = spectrum.abs().norm(dim=1, keepdim=True) / added.abs().norm(dim=1, keepdim=True).clamp_min(1e-9)
    scaled: Tensor = added * level * 10 ** (-ratio_db / 20)
    return scaled


def equaliser_gains(n: int, bins: int, random: torch.Generator) -> Tensor:
    """Return (n, bins) gains: a smooth random curve of about 3 dB, its knots an octave apart."""
    octave = (torch.linspace(0, _RATE / 2, bins).clamp_min(62.5) / 62.5).log2()  # 0 to 7
    knots_db = torch.randn(n, 8, generator=random) * 3
    below = octave.floor().clamp_max(6).long()
    share = octave - below
    curve_db = knots_db[:, below] * (1 - share) + knots_db[:, below + 1] * share
    gains: Tensor = 10 ** (curve_db / 20)
    return gains


def channel_gains(n: int, bins: int, random: torch.Generator) -> Tensor:
    """Return (n, bins) gains: in 4 of 10 rows a band limit like a telephone's or a codec's."""
    hz = torch.linspace(0, _RATE / 2, bins)
    low_hz, high_hz = _uniform(n, 50, 400, random), _uniform(n, 3_200, 7_800, random)
    band = torch.sigmoid((hz - low_hz) / 20) * torch.sigmoid((high_hz - hz) / 60)
    return torch.where(_uniform(n, 0, 1, random) < 0.4, band, 1.0)


def recolour(
    waveform: Tensor,  # (batch, time), float32 at 16 kHz
    random: torch.Generator,
    *,
    max_slope_db: float = 5.0,
) -> Tensor:  # (batch, time)
    """Give half of the rows another vocal effort, half another microphone's curve.

    Vocal effort is a spectral slope from 500 Hz to 4 kHz of up to `max_slope_db` an octave, up or down.
    """
    n, spectrum = len(waveform), torch.fft.rfft(waveform)
    octave = (torch.linspace(0, _RATE / 2, spectrum.shape[1]).clamp(500, 4_000) / 500).log2()
    slope_db = _uniform(n, -max_slope_db, max_slope_db, random)
    slope_db = torch.where(_uniform(n, 0, 1, random) < 0.5, slope_db, 0.0)
    gains = 10 ** (slope_db * octave / 20)
    curve = equaliser_gains(n, spectrum.shape[1], random)
    gains = gains * torch.where(_uniform(n, 0, 1, random) < 0.5, curve, 1.0)
    filtered: Tensor = torch.fft.irfft(spectrum * gains, n=waveform.shape[1])
    return filtered


def mask_bands(
    bands: Tensor,  # (batch, frames, n_mels), each band's mean is zero
    random: torch.Generator,
) -> Tensor:
    """Set one interval of frames and one of bands to zero in each row (SpecAugment, Park et al., Interspeech 2019)."""
    n, frames, n_mels = bands.shape
    hidden = (
        _random_interval(n, frames, _MAX_MASKED_FRAMES, random)[:, :, None]
        | _random_interval(n, n_mels, _MAX_MASKED_BANDS, random)[:, None, :]
    )
    return bands.masked_fill(hidden, 0.0)


def _random_interval(n: int, size: int, max_length: int, random: torch.Generator) -> Tensor:
    length = torch.randint(0, max_length + 1, (n, 1), generator=random)
    start = torch.randint(0, max(1, size - max_length), (n, 1), generator=random)
    place = torch.arange(size)
    return (place >= start) & (place < start + length)


def _uniform(n: int, low: float, high: float, random: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, 1, generator=random)
