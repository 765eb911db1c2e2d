"""Rooms by the image method, microphones, levels and lines, for conversations made of clean speech.

Made otherwise than the training's augmentation, which draws tails of decaying noise: what is judged was not trained on.
"""

from dataclasses import dataclass

import numpy as np
import soxr
from scipy.signal import butter, fftconvolve, sosfilt

from features.decode.config import SAMPLE_RATE

SOUND_M_S = 343.0
_ORDER = 8  # images of a wall along an axis, to either side


@dataclass(frozen=True)
class Room:
    """A box with one microphone; `reflection` is what a wall gives back."""

    size_m: np.ndarray  # (3,)
    microphone_m: np.ndarray  # (3,)
    reflection: float

    @classmethod
    def draw(cls, random: np.random.Generator) -> "Room":
        """Draw a room of 2.5 to 8 m by 2.5 to 6 m that fades by 60 dB in 0.15 to 0.6 s (Sabine)."""
        size = random.uniform([2.5, 2.5, 2.3], [8, 6, 3.2])
        surface = 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
        absorption = min(0.95, 0.161 * size.prod() / (surface * random.uniform(0.15, 0.6)))
        return cls(size, size * random.uniform(0.3, 0.7, 3), float(np.sqrt(1 - absorption)))

    def response(self, random: np.random.Generator) -> np.ndarray:  # (time,)
        """Return the path from a seat drawn 0.3 m or more from the microphone (Allen and Berkley, JASA 1979)."""
        seat = self.size_m * random.uniform(0.1, 0.9, 3)
        while np.linalg.norm(seat - self.microphone_m) < 0.3:
            seat = self.size_m * random.uniform(0.1, 0.9, 3)
        nth = np.arange(-_ORDER, _ORDER + 1)
        along = [nth * size + np.where(nth % 2, size - x, x) for size, x in zip(self.size_m, seat, strict=True)]
        squares = [(images - m) ** 2 for images, m in zip(along, self.microphone_m, strict=True)]
        distance = np.sqrt(squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :])
        bounces = np.abs(nth)[:, None, None] + np.abs(nth)[None, :, None] + np.abs(nth)[None, None, :]
        delay = np.round((distance - distance.min()) / SOUND_M_S * SAMPLE_RATE).astype(int)
        gain = self.reflection**bounces / distance
        heard = np.bincount(delay.ravel(), gain.ravel())[: SAMPLE_RATE // 2]
        return heard / heard[0]


def place(waveform: np.ndarray, response: np.ndarray, level_db: float) -> np.ndarray:
    """Return the waveform through a room, its speech at `level_db` below full scale (RMS)."""
    heard = fftconvolve(waveform, response)[: len(waveform)]
    loud = np.square(heard)[np.abs(waveform) > 0]
    return heard * 10 ** (level_db / 20) / np.sqrt(loud.mean() + 1e-12)


def microphone(random: np.random.Generator) -> np.ndarray:  # (257,)
    """Return a linear-phase filter whose curve strays by some 3 dB, its knots an octave apart."""
    knots_db = random.normal(0, 3, 9)
    octave = np.log2(np.maximum(np.linspace(0, SAMPLE_RATE / 2, 257), 31.25) / 31.25)
    curve = 10 ** (np.interp(octave, np.arange(9), knots_db) / 20)
    return np.fft.fftshift(np.fft.irfft(curve, 512))[128:385] * np.hanning(257)


def through(waveform: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Return the waveform as a microphone hears it, in place and of the same length."""
    return fftconvolve(waveform, taps, mode="same")


def background(n: int, level_db: float, random: np.random.Generator) -> np.ndarray:
    """Return noise between white and brown at `level_db`."""
    spectrum = np.fft.rfft(random.standard_normal(n))
    hz = np.maximum(np.fft.rfftfreq(n, 1 / SAMPLE_RATE), 50)
    noise = np.fft.irfft(spectrum * hz ** -random.uniform(0, 1), n)
    return noise * 10 ** (level_db / 20) / np.sqrt(np.square(noise).mean())


def telephone(waveform: np.ndarray) -> np.ndarray:
    """Return 300 to 3,400 Hz of the waveform, at 8 kHz."""
    band = sosfilt(butter(4, (300, 3_400), "bandpass", fs=SAMPLE_RATE, output="sos"), waveform)
    return soxr.resample(band, SAMPLE_RATE, 8_000, quality="HQ")
