"""Stretches of a recording as the models process it: samples, and curves to draw."""

import io
import math
import wave
from dataclasses import replace

import numpy as np
import polars as pl

from data_contracts.errors import CorpusError
from data_contracts.rejects import Reject
from features.corpus import objects
from features.decode.config import SAMPLE_RATE
from features.decode.recording import decode_windows
from features.decode.windows import WINDOW_S, Window
from features.segmentation.cutting import cut_span, window_range
from features.segmentation.segments import Span
from flows.dashboard.recordings import Recording
from flows.settings import Settings, configs

STRETCH_S = 64.0  # shown at a time: whole windows, short enough for F0 in a moment
_HOP_S = 0.01
_N_POINTS = 800  # across the page
_MAX_F0_HZ = 500.0  # of speech, not of singing
_BLOCK_S = 0.4  # ITU-R BS.1770's block


def n_stretches(seconds: float) -> int:
    """Return the number of stretches that a recording is shown in.

    >>> n_stretches(0.5), n_stretches(64.0), n_stretches(64.1)
    (1, 1, 2)
    """
    return max(1, math.ceil(seconds / STRETCH_S))


def stretch(seconds: float, number: int) -> Span:
    """Return the stretch of that number, from 1."""
    start_s = min(max(number, 1), n_stretches(seconds)) * STRETCH_S - STRETCH_S
    return Span(start_s, min(start_s + STRETCH_S, seconds))


def read_span(
    recording: Recording, span: Span, channel: int, settings: Settings
) -> np.ndarray:  # (time,) float32, 16 kHz
    """Return a span of one analysed channel. Raises CorpusError where the file is gone or does not decode any more."""
    try:
        content = objects.read_object(recording.uri, retry_policy=settings.retry_policy)
    except OSError as error:
        raise CorpusError(f"{recording.uri} cannot be read: {error}; was it moved, or the corpus unmounted?") from error
    config = configs.audio_config(settings)
    if len(recording.channels) > 1:
        config = replace(config, channels="each")
    first, last = window_range([span])
    pieces: list[np.ndarray] = []
    for item in decode_windows(content, config=config, only=(first, last)):
        if isinstance(item, Reject):
            raise CorpusError(f"{recording.uri} does not decode: {item.error}; was it overwritten since it was read?")
        if isinstance(item, Window) and item.channel == channel:
            pieces.append(item.samples)
    return (
        cut_span(np.concatenate(pieces), span, first_sample=first * WINDOW_S * SAMPLE_RATE)
        if pieces
        else np.zeros(0, np.float32)
    )


def as_wav(samples: np.ndarray) -> bytes:
    """Return (time,) float32 at 16 kHz as a 16-bit WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()


def envelope(samples: np.ndarray, start_s: float = 0.0) -> pl.DataFrame:
    """Return time_s, low, high: the extremes of some hundred stretches."""
    n = max(1, -(-len(samples) // _N_POINTS))
    padded = np.pad(samples, (0, -len(samples) % n)).reshape(-1, n)
    times = start_s + np.arange(len(padded)) * n / SAMPLE_RATE
    return pl.DataFrame({"time_s": times, "low": padded.min(axis=1), "high": padded.max(axis=1)})


def pitch(samples: np.ndarray, start_s: float = 0.0) -> pl.DataFrame:
    """Return time_s, f0_hz, null in unvoiced frames."""
    import torch

    from features.dsp.f0 import f0_track

    if not len(samples):
        return pl.DataFrame(schema={"time_s": pl.Float64, "f0_hz": pl.Float64})
    f0_hz = (
        f0_track(torch.from_numpy(samples)[None].float(), torch.tensor([len(samples)]), f0_max_hz=_MAX_F0_HZ)[0][0]
        .double()
        .numpy()
    )
    step = max(1, len(f0_hz) // (2 * _N_POINTS))
    times = start_s + np.arange(len(f0_hz)) * _HOP_S
    frames = pl.DataFrame({"time_s": times, "f0_hz": f0_hz}).gather_every(step)
    return frames.with_columns(pl.when(pl.col("f0_hz") > 0).then("f0_hz"))


def loudness(samples: np.ndarray, start_s: float = 0.0) -> pl.DataFrame:
    """Return time_s, loudness_lufs: momentary loudness (ITU-R BS.1770, blocks of 400 ms), null in silence."""
    from scipy.signal import sosfilt

    from features.quality.loudness import k_weighting

    block, hop = round(_BLOCK_S * SAMPLE_RATE), round(_BLOCK_S / 8 * SAMPLE_RATE)
    power = np.asarray(sosfilt(k_weighting(SAMPLE_RATE), samples.astype(np.float64))) ** 2
    sums = np.concatenate([[0.0], power.cumsum()])
    starts = np.arange(0, max(0, len(samples) - block) + 1, hop)
    means = (sums[np.minimum(starts + block, len(samples))] - sums[starts]) / block
    lufs = 10 * np.log10(np.maximum(means, 1e-12)) - 0.691
    frames = pl.DataFrame({"time_s": start_s + starts / SAMPLE_RATE + _BLOCK_S / 2, "loudness_lufs": lufs})
    return frames.with_columns(pl.when(pl.col("loudness_lufs") > -70).then("loudness_lufs"))
