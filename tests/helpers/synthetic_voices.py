"""Generator of the tests' corpus: thirty espeak-ng clips in six voices.

Run by hand: `PYTHONPATH=tests python tests/helpers/synthetic_voices.py`
"""

import csv
import re
import shutil
import subprocess
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from helpers.paths import SYNTHETIC_VOICES

RATE_HZ = 16_000
PAUSE_S = 1.5
PAUSE = " || "
NOISE_RMS = 10 ** (-72 / 20)  # a line is never digitally silent

# voice: espeak-ng's voice and variant, pitch (0 to 99), words a minute
VOICES = {
    "voice-a": ("en-us+m3", 32, 160),
    "voice-b": ("en-gb-scotland+f4", 50, 165),
    "voice-c": ("en-us+f5", 62, 175),
    "voice-d": ("en-us+m7", 60, 150),
    "voice-e": ("en-gb-x-rp+m5", 78, 170),
    "voice-f": ("en-029+f2", 80, 165),
}
# manner: pitch range, speed factor, peak level. How lively it sounds; no emotion is meant and none is labelled.
MANNERS = {"flat": ("40%", 0.88, -14.0), "even": ("100%", 1.0, -8.0), "lively": ("170%", 1.12, -3.0)}
DUPLICATE = ("2026/11/19/call-0005-voice-e.flac", "2026/11/21/call-0031-voice-e.flac")
EMPTY, TRUNCATED, TEXT = (
    "2026/11/19/call-0032-empty.wav",
    "2026/11/20/call-0033-truncated.flac",
    "2026/11/21/readme-not-audio.mp3",
)


@dataclass(frozen=True)
class Clip:
    path: str  # relative to corpus/
    voice: str
    manner: str
    sentences: tuple[str, ...]


def clips() -> list[Clip]:
    """Return the thirty clips in the order of their numbers."""
    listed = []
    for number, line in enumerate((SYNTHETIC_VOICES / "clips.txt").read_text().splitlines()[1:], start=1):
        date, letter, manner, ending, text = line.split(maxsplit=4)
        path = f"{date}/call-{number:04d}-voice-{letter}{ending}"
        listed.append(Clip(path, f"voice-{letter}", manner, tuple(text.split(PAUSE))))
    return listed


def label_rows() -> list[tuple[str, str, str]]:
    """Return (path, speaker, emotion) of every file with speech, by path; the emotion stays empty."""
    speaker_of = {clip.path: clip.voice for clip in clips()}
    original, copy = DUPLICATE
    return [(path, speaker, "") for path, speaker in sorted((speaker_of | {copy: speaker_of[original]}).items())]


def speak(sentence: str, *, voice: str, manner: str) -> NDArray[np.float64]:
    """Synthesise one sentence, (time,) at RATE_HZ, without espeak-ng's silence around it."""
    name, pitch, words = VOICES[voice]
    pitch_range, speed, _ = MANNERS[manner]
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        options = ["-v", name, "-p", str(pitch), "-s", str(round(words * speed)), "-a", "60", "-m", "-w", file.name]
        subprocess.run(["espeak-ng", *options, f'<prosody range="{pitch_range}">{sentence}</prosody>'], check=True)
        samples, made_hz = sf.read(file.name)
    audible = np.flatnonzero(np.abs(samples) > 1e-3)
    return np.asarray(soxr.resample(samples[audible[0] : audible[-1] + 1], made_hz, RATE_HZ))


def waveform(clip: Clip, *, seed: int) -> NDArray[np.float64]:
    """Return the whole clip, (time,) at RATE_HZ: 0.2 s of edge, PAUSE_S between sentences, faint noise under all."""
    edge, pause = np.zeros(RATE_HZ // 5), np.zeros(round(PAUSE_S * RATE_HZ))
    parts = [edge]
    for sentence in clip.sentences:
        parts += [speak(sentence, voice=clip.voice, manner=clip.manner), pause]
    joined = np.concatenate([*parts[:-1], edge])
    peak = 10 ** (MANNERS[clip.manner][2] / 20)
    noise = np.random.default_rng(seed).normal(scale=NOISE_RMS, size=joined.size)
    return np.asarray(joined * (peak / np.abs(joined).max()) + noise)


def write(path: Path, samples: NDArray[np.float64]) -> None:
    """Write the format of the path's ending."""
    rate_hz, subtype = RATE_HZ, {".ogg": "VORBIS", ".opus": "OPUS", ".mp3": "MPEG_LAYER_III"}.get(path.suffix, "PCM_16")
    if path.stem.endswith("-8k"):
        rate_hz, samples = 8_000, soxr.resample(samples, RATE_HZ, 8_000)
    if path.stem.endswith("-stereo"):
        samples = np.stack([samples, 0.5 * samples], axis=-1)
    container = {".ogg": "OGG", ".opus": "OGG"}.get(path.suffix)
    sf.write(path, samples, rate_hz, subtype=subtype, format=container)
    if container == "OGG":
        path.write_bytes(with_fixed_serial(path.read_bytes()))


def with_fixed_serial(ogg: bytes) -> bytes:
    """Return the Ogg stream with serial number 1: libsndfile draws one at random (page layout and CRC: RFC 3533)."""
    pages = []
    for page in (b"OggS" + rest for rest in re.split(rb"OggS(?=\x00[\x00-\x07])", ogg)[1:]):
        blank = page[:14] + (1).to_bytes(4, "little") + page[18:22] + bytes(4) + page[26:]
        pages.append(blank[:22] + ogg_crc(blank).to_bytes(4, "little") + blank[26:])
    return b"".join(pages)


def ogg_crc(page: bytes) -> int:
    """Return Ogg's CRC-32: zlib's with mirrored bits and without the two inversions."""
    mirrored = page.translate(bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256)))
    return int(f"{zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF:032b}"[::-1], 2)


def main() -> None:
    corpus = SYNTHETIC_VOICES / "corpus"
    shutil.rmtree(corpus, ignore_errors=True)
    for seed, clip in enumerate(clips()):
        (corpus / clip.path).parent.mkdir(parents=True, exist_ok=True)
        write(corpus / clip.path, waveform(clip, seed=seed))
    original, copy = (corpus / path for path in DUPLICATE)
    shutil.copyfile(original, copy)
    whole = original.read_bytes()
    (corpus / TRUNCATED).write_bytes(whole[: len(whole) * 2 // 5])
    (corpus / EMPTY).write_bytes(b"")
    (corpus / TEXT).write_text("Notes for the night shift. This is text, whatever its name says.\n")
    with (SYNTHETIC_VOICES / "labels.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "speaker", "emotion"), *label_rows()])
    output = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    version = output.split("text-to-speech: ")[1].split()[0]
    readme = SYNTHETIC_VOICES / "README.md"
    readme.write_text(re.sub(r"espeak-ng \d[\d.]*\d", f"espeak-ng {version}", readme.read_text()))


if __name__ == "__main__":
    main()
