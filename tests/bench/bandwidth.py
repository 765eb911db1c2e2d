"""Estimated effective bandwidth beside the true one, of real speech through resamplers and coders.

    .venv/bin/python tests/bench/bandwidth.py [--clips 20]

Speech from ../shared/corpora: emodb, librispeech and ravdess at 16 kHz, two actors of ravdess at 48 kHz, and eight
digits after each other of fsdd at 8 kHz. What is stored in 16 bits says so; the others are floats.
"""

import argparse
import io
from collections.abc import Iterator

import av
import numpy as np
import soundfile as sf
import soxr
from corpora import SHARED, speech
from scipy.signal import firwin, lfilter
from tables import print_head, print_machine, print_row

from features.quality.bandwidth import BandwidthMeter
from models.data.codecs import CODECS, transcode

Clip = tuple[np.ndarray, int]  # (frames,) and its rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=20, help="of each corpus")
    options = parser.parse_args()
    print_machine()
    print(f"data: {SHARED.name}, {options.clips} clips of each corpus\n")
    heads = ["speech", "ends at, Hz", "found: median", "10 %", "90 %", "lowest", "highest", "clips"]
    print_head(*heads)
    for name, truth, clips in cases(options.clips):
        found = [bandwidth_hz(*clip) for clip in clips]
        cells = np.quantile(found, [0.5, 0.1, 0.9, 0.0, 1.0]).round().astype(int)
        print_row(name, truth, *cells, len(found))


def cases(n: int) -> Iterator[tuple[str, str, list[Clip]]]:
    """Yield the processing, the true end of the band, and the clips."""
    digits = speech("fsdd", 8 * n, 8_000)
    telephone = [np.concatenate(digits[first : first + 8]) for first in range(0, len(digits), 8)]
    wide = [clip for corpus in ("emodb", "librispeech_train-clean-100", "ravdess") for clip in speech(corpus, n)]
    full = speech("ravdess", n, 48_000)
    for corpus in ("emodb", "librispeech_train-clean-100", "ravdess"):
        yield f"{corpus}, 16 kHz", "8000, or some hundred less", [(clip, 16_000) for clip in speech(corpus, n)]
    yield "ravdess, 48 kHz", "20000 or more", [(clip, 48_000) for clip in full]
    noisy = [clip + 0.1 * clip.std() * noise(len(clip)) for clip in wide]
    yield "16 kHz, white noise at 20 dB", "8000", [(clip, 16_000) for clip in noisy]
    yield "16 kHz to 48 kHz, 16 bits", "8000", [(in_16_bits(soxr.resample(c, 16_000, 48_000)), 48_000) for c in wide]
    for rate in (16_000, 48_000):
        yield f"fsdd to {rate} Hz, 16 bits", "4000", [(up(clip, rate), rate) for clip in telephone]
        for law in ("ALAW", "ULAW"):
            yield f"{law} to {rate} Hz, 16 bits", "4000", [(up(g711(clip, law), rate), rate) for clip in wide]
        quiet = [in_16_bits(16 * up(g711(clip / 16, "ULAW"), rate)) for clip in wide]
        yield f"24 dB down, ULAW, to {rate} Hz, 16 bits, 24 dB up", "4000", [(clip, rate) for clip in quiet]
        yield f"AMR 12.2 kbit/s to {rate} Hz, 16 bits", "3400 to 4000", [(up(amr(clip), rate), rate) for clip in wide]
    for name in ("gsm", "opus, narrow"):
        yield f"{name} to 16 kHz", "4000", [(transcode(clip, CODECS[name]), 16_000) for clip in wide]
    for cutoff_hz in (3_400, 5_500):
        limited = [low_passed(clip, 16_000, cutoff_hz) for clip in wide]
        yield f"low-pass {cutoff_hz} Hz, 16 bits", str(cutoff_hz), [(in_16_bits(clip), 16_000) for clip in limited]
        noisy = [clip + 0.03 * clip.std() * noise(len(clip)) for clip in limited]
        yield f"low-pass {cutoff_hz} Hz, then white noise at 30 dB", str(cutoff_hz), [(c, 16_000) for c in noisy]
    for cutoff_hz in (7_000, 11_000):
        limited = [low_passed(clip, 48_000, cutoff_hz) for clip in full]
        yield f"low-pass {cutoff_hz} Hz, mp3", str(cutoff_hz), [(mp3(clip, 48_000), 48_000) for clip in limited]
        truth = f"{cutoff_hz}, and LAME's slope"
        yield f"mp3, LAME's cutoff at {cutoff_hz} Hz", truth, [(mp3(clip, 48_000, cutoff_hz), 48_000) for clip in full]


def bandwidth_hz(samples: np.ndarray, rate: int) -> float:
    meter = BandwidthMeter(rate)
    meter.add(samples.astype(np.float32))
    return meter.bandwidth_hz() or 0.0


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(n).standard_normal(n)


def in_16_bits(samples: np.ndarray) -> np.ndarray:
    return np.round(np.clip(samples, -1, 1) * 32_767) / 32_768


def up(samples: np.ndarray, rate: int) -> np.ndarray:
    return in_16_bits(soxr.resample(samples, 8_000, rate))


def low_passed(samples: np.ndarray, rate: int, cutoff_hz: float) -> np.ndarray:
    return lfilter(firwin(511, cutoff_hz, fs=rate), 1, samples)


def g711(samples: np.ndarray, law: str) -> np.ndarray:
    file = io.BytesIO()
    sf.write(file, soxr.resample(samples, 16_000, 8_000), 8_000, format="WAV", subtype=law)
    file.seek(0)
    return sf.read(file, dtype="float32")[0]


def amr(samples: np.ndarray) -> np.ndarray:
    return through(soxr.resample(samples, 16_000, 8_000), 8_000, "libopencore_amrnb", "amr", 12_200)


def mp3(samples: np.ndarray, rate: int, cutoff_hz: int | None = None) -> np.ndarray:
    return through(samples, rate, "libmp3lame", "mp3", 64_000, {"cutoff": str(cutoff_hz)} if cutoff_hz else {})


def through(
    samples: np.ndarray, rate: int, codec: str, container: str, bit_rate: int, options: dict[str, str] | None = None
) -> np.ndarray:
    """(frames,) through one of FFmpeg's coders and back, at the same rate."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono", options=options or {})
        stream.bit_rate = bit_rate
        whole = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
        whole.sample_rate = rate
        fifo = av.AudioFifo()
        for frame in av.AudioResampler(stream.codec_context.format.name, "mono", rate).resample(whole):
            frame.pts = None
            fifo.write(frame)
        while (frame := fifo.read(stream.codec_context.frame_size, partial=True)) is not None:
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as back:
        planar = av.AudioResampler("fltp")
        return np.concatenate([p.to_ndarray()[0] for f in back.decode(audio=0) for p in planar.resample(f)])


if __name__ == "__main__":
    main()
