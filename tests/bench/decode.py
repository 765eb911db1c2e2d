"""Decoding speed by format on one core, beside librosa.load and ffmpeg; and the waiting time of extraction.

    .venv/bin/python tests/bench/decode.py [CORPUS] [--minutes 10]

CORPUS is a folder of speech with a labels.csv; without one ../shared/corpora is taken where it is, else the sample's
synthetic clips. Its clips, one behind the other, are written in each format here (soundfile, PyAV). `decode` is the
decoder alone; `prepared` is all that a worker's decoder does: loudness, bandwidth and the other measures, mixing,
resampling to 16 kHz. librosa.load resamples to 16 kHz too, by the same soxr; ffmpeg, where it is installed, decodes to
16 kHz mono on one thread. The second table is the extract stage over those files, a share a step.
"""

import argparse
import io
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import librosa
import numpy as np
import soundfile as sf
import soxr
import torch
from corpora import ROOT, SAMPLE, SHARED
from tables import print_head, print_machine, print_row

from data_contracts.lake import Lake
from data_contracts.rejects import Reject
from features.corpus import shard_plan
from features.corpus.filesystem import stat_object
from features.decode.config import AudioConfig
from features.decode.open import open_stream
from features.decode.recording import decode_windows
from features.extraction.config import FeatureConfig
from features.extraction.shard import extract_shard
from features.extraction.utterances import Embedder
from models.speaker.model import SpeakerModel

RATE = 16_000
SOUNDFILE = {
    "wav, 16 bits, 48 kHz stereo": (48_000, 2, "WAV", "PCM_16"),
    "wav, A-law, 8 kHz": (8_000, 1, "WAV", "ALAW"),
    "flac, 16 kHz": (16_000, 1, "FLAC", "PCM_16"),
    "flac, 44.1 kHz stereo": (44_100, 2, "FLAC", "PCM_16"),
    "mp3, 44.1 kHz stereo": (44_100, 2, "MP3", "MPEG_LAYER_III"),
    "ogg/opus, 48 kHz": (48_000, 1, "OGG", "OPUS"),
}
PYAV = {
    "m4a (AAC), 44.1 kHz stereo": ("mp4", "aac", 44_100, "stereo", 128_000),
    "webm (opus), 48 kHz": ("webm", "libopus", 48_000, "mono", 32_000),
    "amr-nb, 8 kHz": ("amr", "libopencore_amrnb", 8_000, "mono", 12_200),
    "wma, 44.1 kHz": ("asf", "wmav2", 44_100, "mono", 64_000),
}
EXTRACTED = ("flac, 44.1 kHz stereo", "mp3, 44.1 kHz stereo", "m4a (AAC), 44.1 kHz stereo")
STEPS = ("read_s", "vad_s", "egemaps_s", "embed_s", "write_s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=SHARED if SHARED.is_dir() else SAMPLE)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    samples = speech(options.corpus, options.minutes * 60)
    files = {name: _encoded(samples, name) for name in [*SOUNDFILE, *PYAV]}
    seconds = len(samples) / RATE
    print_machine()
    print(f"data: {seconds / 60:.1f} min of {options.corpus}, one core; times real time\n")
    print_head("format", "MB", "decode", "prepared", "librosa.load", "ffmpeg")
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            path = Path(folder) / f"{len(data)}.bin"
            path.write_bytes(data)
            found = [_rate(seconds, work, data, path) for work in (_decoded, _prepared, _by_librosa, _by_ffmpeg)]
            print_row(name, f"{len(data) / 1e6:.1f}", *found)
    print()
    for name in EXTRACTED:
        _extracted(name, [_encoded(piece, name) for piece in np.array_split(samples, 20)])


def speech(corpus: Path, seconds: float) -> np.ndarray:
    """(time,) float32 at 16 kHz: clips, one behind the other with pauses of half a second, over and over."""
    pieces: list[np.ndarray] = []
    n = 0
    for path in sorted(corpus.rglob("*.flac"))[:: 7 if corpus == SHARED else 1]:
        clip, rate = sf.read(path, dtype="float32", always_2d=True)
        pieces.append(np.pad(soxr.resample(clip[:, 0], rate, RATE), (0, RATE // 2)))
        n += len(pieces[-1])
        if n >= seconds * RATE:
            break
    return np.resize(np.concatenate(pieces), round(seconds * RATE))


def _encoded(samples: np.ndarray, name: str) -> bytes:
    return _by_soundfile(samples, *SOUNDFILE[name]) if name in SOUNDFILE else by_pyav(samples, *PYAV[name])


def _by_soundfile(samples: np.ndarray, rate: int, n_channels: int, container: str, subtype: str) -> bytes:
    sink, left = io.BytesIO(), soxr.resample(samples, RATE, rate)
    channels = left if n_channels == 1 else np.stack([left, 0.7 * np.roll(left, 300)], axis=1)
    with sf.SoundFile(sink, "w", rate, n_channels, format=container, subtype=subtype) as file:
        for start in range(0, len(channels), rate):
            file.write(channels[start : start + rate])
    return sink.getvalue()


def by_pyav(samples: np.ndarray, container: str, codec: str, rate: int, layout: str, bit_rate: int) -> bytes:
    sink, left = io.BytesIO(), soxr.resample(samples, RATE, rate)
    planes = np.stack([left, 0.7 * np.roll(left, 300)]) if layout == "stereo" else left[None]
    with av.open(sink, "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = bit_rate
        for start in range(0, planes.shape[1], rate):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(planes[:, start : start + rate]), format="fltp", layout=layout
            )
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return sink.getvalue()


def _rate(seconds: float, work: Callable[[bytes, Path], str | None], data: bytes, path: Path) -> str:
    """The better of two."""
    spent = []
    for _ in range(2):
        started = time.perf_counter()
        failed = work(data, path)
        if failed:
            return failed
        spent.append(time.perf_counter() - started)
    return f"{seconds / min(spent):,.0f}"


def _decoded(data: bytes, _: Path) -> str | None:
    with open_stream(data) as stream:
        for _block in stream.blocks():
            pass
    return None


def _prepared(data: bytes, _: Path) -> str | None:
    *_windows, last = decode_windows(data, config=AudioConfig())
    return f"rejected: {last.reason}" if isinstance(last, Reject) else None


def _by_librosa(_: bytes, path: Path) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            librosa.load(path, sr=RATE, res_type="soxr_hq")
    except Exception:  # noqa: BLE001 - whatever it raises, it cannot read it
        return "cannot read it"
    return None


def _by_ffmpeg(_: bytes, path: Path) -> str | None:
    if not shutil.which("ffmpeg"):
        return "not installed"
    arguments = ["-v", "error", "-threads", "1", "-i", str(path), "-ar", str(RATE), "-ac", "1", "-f", "f32le", "-y"]
    done = subprocess.run(["ffmpeg", *arguments, "/dev/null"], check=False, capture_output=True)
    return None if done.returncode == 0 else "cannot read it"


def _speaker() -> Embedder:
    model = SpeakerModel.load(ROOT / "models" / "weights" / "speaker")

    def embed_sliding(*arguments: Any) -> list[list[np.ndarray]]:
        return [[vectors.numpy() for vectors in row] for row in model.sliding_embeddings(*arguments)]

    return Embedder(lambda waveform, lengths: model.embed(waveform, lengths).numpy(), model.dim, embed_sliding)


def _extracted(name: str, files: list[bytes]) -> None:
    """One shard, by one worker and its decoder, once they are warm."""
    with tempfile.TemporaryDirectory() as folder:
        items = []
        for number, piece in enumerate(files):
            path = Path(folder) / f"{number}.bin"
            path.write_bytes(piece)
            items.append(stat_object(str(path), None))
        lake = Lake(f"{folder}/lake")
        embedders = {"embeddings": _speaker()}
        for version in ("warm", "measured"):
            ref = shard_plan.write_plan(lake, "plan", items, shard="0a")
            started = time.perf_counter()
            counts = extract_shard(lake, ref, version=version, config=FeatureConfig(), embedders=embedders).counts
            spent = time.perf_counter() - started
            assert counts.n_rejected == 0, f"{counts.n_rejected} of {counts.n_objects} files of {name} were rejected"
    shares = ", ".join(f"{step.removesuffix('_s')} {getattr(counts, step) / spent:.0%}" for step in STEPS)
    print(f"{name}: {counts.audio_s / spent:.0f}x real time; {shares} (read: waiting for it and its decoding)")


if __name__ == "__main__":
    main()
