"""Twins of a clip that nobody tells apart, or hardly: offset, hum, rumble, gain, a pause, bits, rates."""

import io
from collections.abc import Callable
from functools import partial

import numpy as np
import soundfile as sf
import soxr

from features.decode.config import SAMPLE_RATE

LEAD_S = 0.5
_HARMONICS_DB = (0.0, -20.0, -14.0, -30.0, -24.0)  # of hum, relative to the first


def wav(samples: np.ndarray, *, rate: int = SAMPLE_RATE, subtype: str = "PCM_16") -> bytes:
    """Write (time,) samples as a file."""
    sink = io.BytesIO()
    sf.write(sink, samples, rate, format="WAV", subtype=subtype)
    return sink.getvalue()


def _gain(clip: np.ndarray, *, gain: float) -> bytes:
    return wav(gain * clip)


def _offset(clip: np.ndarray, *, share: float) -> bytes:
    return wav(clip + share)


def _hum(clip: np.ndarray, *, hz: float, level_db: float, relative_db: tuple[float, ...] = (0.0,)) -> bytes:
    time_s = np.arange(len(clip)) / SAMPLE_RATE
    waves = (
        10 ** ((level_db + below_db) / 20) * np.sin(2 * np.pi * hz * nth * time_s + nth)
        for nth, below_db in enumerate(relative_db, 1)
    )
    return wav(clip + sum(waves))


def _rumble(clip: np.ndarray, *, level_db: float) -> bytes:
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(len(clip)))
    spectrum[np.fft.rfftfreq(len(clip), 1 / SAMPLE_RATE) > 40] = 0
    wave = np.fft.irfft(spectrum, len(clip))
    return wav(clip + wave * 10 ** (level_db / 20) / wave.std())


def _later(clip: np.ndarray) -> bytes:
    return wav(np.pad(clip, (round(LEAD_S * SAMPLE_RATE), 0)))


def _at_rate(clip: np.ndarray, *, rate: int) -> bytes:
    return wav(soxr.resample(clip, SAMPLE_RATE, rate), rate=rate)


TWINS: dict[str, Callable[[np.ndarray], bytes]] = {
    **{f"gain {gain}": partial(_gain, gain=gain) for gain in (0.9, 0.3)},
    **{f"offset {share:.1%}": partial(_offset, share=share) for share in (0.005, 0.02, 0.05)},
    **{
        f"{hz} Hz at {level_db} dBFS": partial(_hum, hz=hz, level_db=level_db)
        for hz, levels_db in ((50, (-50, -40, -30)), (60, (-50, -30)))
        for level_db in levels_db
    },
    **{
        f"{hz} Hz at {level_db} dBFS, with harmonics": partial(
            _hum, hz=hz, level_db=level_db, relative_db=_HARMONICS_DB
        )
        for hz, levels_db in ((50, (-60, -50, -40)), (60, (-60, -50, -40)))
        for level_db in levels_db
    },
    "rumble below 40 Hz at -30 dBFS": partial(_rumble, level_db=-30),
    "half a second of silence before": _later,
    "8 bits": partial(wav, subtype="PCM_U8"),
    "24 bits": partial(wav, subtype="PCM_24"),
    **{f"{rate} Hz": partial(_at_rate, rate=rate) for rate in (8_000, 22_050, 44_100, 48_000)},
}
