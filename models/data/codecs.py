"""Telephone and compression codecs for training: real encoders, run in memory."""

import io
from typing import NamedTuple

import numpy as np
import soundfile as sf
import soxr

from features.decode.config import SAMPLE_RATE


class Codec(NamedTuple):
    """A codec as soundfile writes it."""

    rate_hz: int
    container: str
    subtype: str
    compression: float | None = None  # 0 the best to 1 the smallest, where the codec has a choice


CODECS: dict[str, Codec] = {
    "gsm": Codec(8_000, "WAV", "GSM610"),
    "mu-law": Codec(8_000, "WAV", "ULAW"),
    "a-law": Codec(8_000, "WAV", "ALAW"),
    "opus": Codec(16_000, "OGG", "OPUS", 1.0),
    "opus, narrow": Codec(8_000, "OGG", "OPUS", 0.9),
    "mp3": Codec(16_000, "MP3", "MPEG_LAYER_III", 0.9),
}


def transcode(
    waveform: np.ndarray,  # (time,) float32 at 16 kHz
    codec: Codec,
) -> np.ndarray:  # (time,) float32 at 16 kHz
    """Return the waveform as a receiver of `codec` hears it, of the same length."""
    resampled = soxr.resample(waveform, SAMPLE_RATE, codec.rate_hz, quality="HQ").clip(-1, 1)
    file = io.BytesIO()
    options = {} if codec.compression is None else {"compression_level": codec.compression}
    sf.write(file, resampled, codec.rate_hz, format=codec.container, subtype=codec.subtype, **options)
    file.seek(0)
    decoded, rate = sf.read(file, dtype="float32")
    decoded = soxr.resample(decoded, rate, SAMPLE_RATE, quality="HQ")[: len(waveform)]
    return np.pad(decoded, (0, len(waveform) - len(decoded))).astype(np.float32)
