"""Fixtures of DSP tests: every device there is, synthetic voices with known parameters, a little real speech."""

import math
from collections.abc import Callable

import pytest
import soundfile
import torch
from helpers.paths import SHARED_CORPORA
from scipy.signal import lfilter
from torch import Tensor

from features.resources import use_full_precision

RATE = 16_000


@pytest.fixture(
    params=[
        "cpu",
        pytest.param(
            "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
        ),
    ]
)
def device(request: pytest.FixtureRequest) -> torch.device:
    use_full_precision()  # as workers do
    return torch.device(request.param)


def _pulses(hz: float, seconds: float = 1.0, rate: int = RATE) -> Tensor:
    turns = torch.floor(torch.arange(round(seconds * rate), dtype=torch.float64) / rate * hz + 1e-4)  # not on an edge
    return 0.8 * (torch.diff(turns, prepend=turns[:1] - 1) > 0).float()


def _resonate(source: Tensor, formants_hz: tuple[float, ...], bandwidths_hz: tuple[float, ...]) -> Tensor:
    wave = lfilter([1], [1, -math.exp(-2 * math.pi * 50 / RATE)], source.double().numpy())
    for hz, width in zip(formants_hz, bandwidths_hz, strict=True):
        radius = math.exp(-math.pi * width / RATE)
        wave = lfilter([1], [1, -2 * radius * math.cos(2 * math.pi * hz / RATE), radius**2], wave)
    wave = torch.from_numpy(wave)
    return (0.5 * wave / wave.abs().max()).float()


@pytest.fixture(scope="session")
def pulses() -> Callable[..., Tensor]:
    """(hz, seconds, rate) to a train of single samples."""
    return _pulses


@pytest.fixture(scope="session")
def resonate() -> Callable[..., Tensor]:
    """A source, tilted by -6 dB an octave from 50 Hz on, through two-pole resonators of known make."""
    return _resonate


@pytest.fixture(scope="session")
def vowels() -> list[Tensor]:
    """A second each of five vowels, of low and of high voices."""
    formants = ((700, 1200), (400, 2000), (300, 2300), (450, 800), (320, 700))
    pitches = (110, 140, 180, 220, 260)
    widths = (80, 100, 120, 160, 200)
    return [
        _resonate(_pulses(hz), (*lowest, 2600, 3500, 4500), widths)
        for lowest, hz in zip(formants, pitches, strict=True)
    ]


@pytest.fixture(scope="session")
def speech() -> list[Tensor]:
    """Some ten real clips at 16 kHz, of at most three seconds."""
    if not SHARED_CORPORA.is_dir():
        pytest.skip("the real speech of ../shared/corpora is not on this machine")
    clips = []
    for path in sorted(SHARED_CORPORA.glob("*/*.flac"))[::170]:
        wave, rate = soundfile.read(path, dtype="float32", frames=3 * RATE)
        if rate == RATE:
            clips.append(torch.from_numpy(wave))
    return clips
