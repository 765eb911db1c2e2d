"""What telephony and compression leave of a voice, for training: real codecs, by way of memory."""

import io
from typing import NamedTuple

import numpy as np
import soundfile as sf
import soxr

from features.decode.config import SAMPLE_RATE


class Codec(NamedTuple):
    """How soundfile writes it."""

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


def through(
    waveform: np.ndarray,  # (time,) float32 at 16 kHz
    name: str,
) -> np.ndarray:  # (time,) float32 at 16 kHz
    """The waveform as a receiver of CODECS[name] hears it, of the same length."""
    return transcode(waveform, CODECS[name])


def transcode(waveform: np.ndarray, codec: Codec) -> np.ndarray:
    """The same through any codec that soundfile writes."""
    sent = soxr.resample(waveform, SAMPLE_RATE, codec.rate_hz, quality="HQ").clip(-1, 1)
    file = io.BytesIO()
    options = {} if codec.compression is None else {"compression_level": codec.compression}
    sf.write(file, sent, codec.rate_hz, format=codec.container, subtype=codec.subtype, **options)
    file.seek(0)
    heard, rate = sf.read(file, dtype="float32")
    heard = soxr.resample(heard, rate, SAMPLE_RATE, quality="HQ")[: len(waveform)]
    return np.pad(heard, (0, len(waveform) - len(heard))).astype(np.float32)
