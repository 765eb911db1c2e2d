"""Audio files in memory, made by PyAV (FFmpeg's encoders) and soundfile: what the tests and the fuzzer start from."""

import io
import struct
from dataclasses import dataclass, field

import av
import numpy as np
import soundfile as sf

from data_contracts.rejects import Reason
from features.decode.open import open_stream
from features.decode.stream import Header, Unusable

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


@dataclass(frozen=True)
class Kind:
    """How a format is made, and what is promised of it."""

    muxer: str
    encoder: str
    rate: int = 16_000
    bit_rate: int | None = None
    delay_s: float = 0.0  # of the encoder, where the container does not state it
    padding_s: float = 0.0  # at the end, at most, besides the delay
    correlation: float = 0.98
    options: dict[str, str] = field(default_factory=dict)
    n_channels: int = 1
    sample_format: str | None = None


KINDS = {
    "mp4/aac": Kind("mp4", "aac", padding_s=0.07),
    "mp4/alac": Kind("ipod", "alac"),
    "mp4/amr_nb": Kind("3gp", "libopencore_amrnb", 8000, bit_rate=12_200, padding_s=0.03, correlation=0.8),
    "mp4/pcm_s24be": Kind("mov", "pcm_s24be"),
    "mp4/pcm_alaw": Kind("mov", "pcm_alaw"),
    "mp4/pcm_f64be": Kind("mov", "pcm_f64be"),
    "mp4/adpcm_ima_qt": Kind("mov", "adpcm_ima_qt", padding_s=0.01),
    "aac": Kind("adts", "aac", delay_s=0.064, padding_s=0.12),
    "loas/aac_latm": Kind("latm", "aac", delay_s=0.064, padding_s=0.12),
    "amr/amr_nb": Kind(
        "amr", "libopencore_amrnb", 8000, bit_rate=12_200, delay_s=0.005, padding_s=0.03, correlation=0.8
    ),
    "matroska/aac": Kind("matroska", "aac", padding_s=0.07),
    "matroska/opus": Kind("webm", "libopus", 48_000),
    "matroska/vorbis": Kind("webm", "vorbis", options={"strict": "-2"}, padding_s=0.07, n_channels=2),
    "matroska/flac": Kind("matroska", "flac"),
    "matroska/pcm_f32le": Kind("matroska", "pcm_f32le"),
    "matroska/wavpack": Kind("matroska", "wavpack", sample_format="fltp"),
    "asf/wmav1": Kind("asf", "wmav1", bit_rate=32_000, delay_s=-0.032),
    "asf/wmav2": Kind("asf", "wmav2", bit_rate=32_000, delay_s=-0.032),
    "mpegts/aac": Kind("mpegts", "aac", 48_000, delay_s=0.0213, padding_s=0.03),
    "mpegts/mp3": Kind("mpegts", "mp2", 48_000, delay_s=0.01, padding_s=0.03),  # FFmpeg's name for any layer here
    "mpeg/mp2": Kind("mpeg", "mp2", 48_000, delay_s=0.01, padding_s=0.03),
    "avi/mp3": Kind("avi", "libmp3lame", delay_s=0.069, padding_s=0.1),
    "avi/pcm_s16le": Kind("avi", "pcm_s16le"),
    "flv/aac": Kind("flv", "aac", 44_100, delay_s=0.0232, padding_s=0.05),
    "flv/mp3": Kind("flv", "libmp3lame", 44_100, delay_s=0.025, padding_s=0.04),
    "ac3": Kind("ac3", "ac3", 48_000, delay_s=0.0053, padding_s=0.04),
    "eac3": Kind("eac3", "eac3", 48_000, delay_s=0.0053, padding_s=0.04),
    "mp2": Kind("mp2", "mp2", delay_s=0.03, padding_s=0.04),
    "wavpack": Kind("wv", "wavpack", sample_format="s16p"),
    "tta": Kind("tta", "tta", sample_format="s16"),
    "realmedia/ac3": Kind("rm", "ac3", 48_000, delay_s=0.0053, padding_s=0.04),
    "realmedia/ra_144": Kind("rm", "real_144", 8000, delay_s=0.02, padding_s=0.03, correlation=0.9),
    "wav/ac3": Kind("wav", "ac3", 48_000, delay_s=0.0053, padding_s=0.04),
    "wav/wmav2": Kind("wav", "wmav2", bit_rate=32_000, delay_s=-0.032),
    "wav/adpcm_g726": Kind("wav", "g726", 8000, correlation=0.95),
    "wav/adpcm_g722": Kind("wav", "g722", delay_s=0.0014, correlation=0.95),
    "wav/adpcm_yamaha": Kind("wav", "adpcm_yamaha", padding_s=0.07, correlation=0.95),
    "au/adpcm_g722": Kind("au", "g722", delay_s=0.0014, correlation=0.95),
    "ogg/flac": Kind("ogg", "flac"),
}
"""What FFmpeg reads, by the codec that the header names."""

FAST = {
    "wav/pcm_16": ("WAV", "PCM_16"),
    "wav/pcm_u8": ("WAV", "PCM_U8"),
    "wav/pcm_24": ("WAVEX", "PCM_24"),
    "wav/float": ("WAV", "FLOAT"),
    "wav/double": ("WAV", "DOUBLE"),
    "wav/ulaw": ("WAV", "ULAW"),
    "wav/alaw": ("WAV", "ALAW"),
    "wav/gsm610": ("WAV", "GSM610"),
    "wav/ms_adpcm": ("WAV", "MS_ADPCM"),
    "rf64/pcm_16": ("RF64", "PCM_16"),
    "w64/pcm_16": ("W64", "PCM_16"),
    "aiff/pcm_16": ("AIFF", "PCM_16"),
    "aiff/ima_adpcm": ("AIFF", "IMA_ADPCM"),
    "au/pcm_16": ("AU", "PCM_16"),
    "au/ulaw": ("AU", "ULAW"),
    "caf/pcm_16": ("CAF", "PCM_16"),
    "caf/alac_16": ("CAF", "ALAC_16"),
    "nist/pcm_16": ("NIST", "PCM_16"),
    "voc/pcm_u8": ("VOC", "PCM_U8"),
    "flac": ("FLAC", "PCM_16"),
    "ogg/vorbis": ("OGG", "VORBIS"),
    "ogg/opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
"""What libsndfile reads: its format and subtype."""


def voice(seconds: float = 2.0, rate: int = 16_000, n_channels: int = 1) -> np.ndarray:
    """(frames, channels) float32: a gliding buzz in syllables, below 3 kHz; each channel a little later and quieter."""
    n = round(seconds * rate)
    t = np.arange(n) / rate
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t)) / rate
    wave = sum(np.cos(k * phase) * np.exp(-(((k * 120 - 600) / 700) ** 2)) for k in range(1, 24))
    wave = wave * (0.25 + 0.75 * np.sin(2 * np.pi * 1.7 * t + 0.3) ** 2)
    wave = 0.5 * wave / np.abs(wave).max()
    return np.stack([np.roll(wave, 40 * c) / (1 + 0.2 * c) for c in range(n_channels)], axis=1).astype(np.float32)


def encoded(
    samples: np.ndarray,
    kind: Kind,
    *,
    tags: dict[str, str] | None = None,
    video_s: float = 0.0,
    starts_s: float = 0.0,
    pause_s: float = 0.0,
    muxer_options: dict[str, str] | None = None,
) -> bytes:
    """Samples (frames, channels) at the kind's rate in a file of its kind.

    With a video track of so many seconds; on the file's clock from `starts_s` on, and with a pause in the middle.
    """
    sink, layout = io.BytesIO(), LAYOUTS[samples.shape[1]]
    with av.open(sink, "w", format=kind.muxer, options=muxer_options or {}) as file:
        file.metadata.update(tags or {})
        video = file.add_stream("mpeg4", rate=10) if video_s else None
        audio = file.add_stream(kind.encoder, rate=kind.rate, layout=layout, options=dict(kind.options))
        if kind.bit_rate:
            audio.bit_rate = kind.bit_rate
        if kind.sample_format:
            audio.format = kind.sample_format
        if video:
            video.width = video.height = 32
            for n in range(round(10 * video_s)):
                picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 20 * n % 256, np.uint8), format="rgb24")
                picture.pts = n
                file.mux(video.encode(picture))
            file.mux(video.encode(None))
        half = len(samples) // 2 if pause_s else len(samples)
        for part, at_s in ((samples[:half], starts_s), (samples[half:], starts_s + pause_s + half / kind.rate)):
            if len(part):
                packed = np.ascontiguousarray(part, np.float32).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
                frame.sample_rate, frame.pts = kind.rate, round(at_s * kind.rate)
                file.mux(audio.encode(frame))
        file.mux(audio.encode(None))
    return sink.getvalue()


def written(samples: np.ndarray, codec: str, rate: int = 16_000, **options: object) -> bytes:
    """Samples in a file of `FAST`."""
    sink = io.BytesIO()
    container, subtype = FAST[codec]
    with sf.SoundFile(sink, "w", rate, samples.shape[1], subtype, format=container, **options) as file:
        for at in range(0, len(samples), rate):  # of a long one at once, libsndfile's Vorbis overflows the stack
            file.write(samples[at : at + rate])
    return sink.getvalue()


def dsf(samples: np.ndarray, rate: int = 2_822_400) -> bytes:
    """Samples (frames,) at a 64th of the rate, by a first-order sigma-delta modulator: a DSF file (Sony, 1.01)."""
    held, total, bits = np.repeat(samples, 64), 0.0, []
    for sample in held.tolist():
        bit = total >= 0
        total += sample - (1 if bit else -1)
        bits.append(bit)
    packed = np.packbits(bits, bitorder="little").tobytes()
    block = packed.ljust(-(-len(packed) // 4096) * 4096, b"\x69")
    fmt = struct.pack("<4sQ6IQ2I", b"fmt ", 52, 1, 0, 1, 1, rate, 1, len(bits), 4096, 0)
    data = b"data" + struct.pack("<Q", 12 + len(block)) + block
    return struct.pack("<4s3Q", b"DSD ", 28, 28 + len(fmt) + len(data), 0) + fmt + data


def tiny() -> dict[str, bytes]:
    """A file of each format, a twentieth of a second long: by its codec's name."""
    files = {
        codec: encoded(voice(0.2 if codec == "mp2" else 0.06, kind.rate, kind.n_channels), kind)
        for codec, kind in KINDS.items()
    }
    files |= {codec: written(voice(0.06), codec) for codec in FAST}
    return files | {"dsf": dsf(voice(0.005, 44_100)[:, 0])}


def read(data: bytes) -> tuple[Header, np.ndarray]:
    """All of a stream: (frames, channels)."""
    with open_stream(data) as stream:
        blocks = list(stream.blocks())
        return stream.header, np.concatenate(blocks or [np.empty((0, stream.header.n_channels), np.float32)])


def verdict(data: bytes) -> Reason | None:
    """What is wrong with a file, as `features.decode.recording` sees it; None where nothing is."""
    try:
        header, samples = read(data)
    except Unusable as error:
        return error.reason
    cut = header.gap or (header.n_promised is not None and len(samples) < header.n_promised)
    return Reason.TRUNCATED if cut else None


def likeness(found: np.ndarray, made: np.ndarray, rate: int) -> tuple[float, float]:
    """The correlation of two waveforms (time,), and the delay of the first in seconds, where it is largest."""
    n = 1 << (len(found) + len(made)).bit_length()
    spectrum = np.fft.rfft(found, n) * np.conj(np.fft.rfft(made, n))
    cross = np.fft.irfft(spectrum, n)
    reach = rate // 5
    lags = np.concatenate([cross[:reach], cross[-reach:]])
    best = int(lags.argmax())
    delay = best if best < reach else best - 2 * reach
    n_both = min(len(found) - max(delay, 0), len(made) + min(delay, 0))
    a, b = found[max(delay, 0) :][:n_both], made[max(-delay, 0) :][:n_both]
    return float(np.corrcoef(a, b)[0, 1]), delay / rate
