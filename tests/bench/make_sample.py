"""Maker of the demo's sample: eight readers of LibriSpeech and two excerpts of AMI meetings, over three nights.

    .venv/bin/python tests/bench/make_sample.py [--shared ../shared]

Rewrites flows/sample: `corpus/`, and `reference.csv` (file, start_s, end_s, speaker), which says who really speaks.
Readers are of the voices that no shipped model learns from (`models.data.kept_out`), as many women as men, drawn with a
fixed seed. A reader's clip is cut at its quietest moments into three or four pieces of 2 to 5 s. The same versions of
libsndfile and soxr give the same bytes.
"""

import argparse
import csv
import itertools
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from helpers.synthetic_voices import write  # noqa: E402

from models.data.kept_out import is_kept_out  # noqa: E402

RATE_HZ, SEED = 16_000, 0
READERS_OF_A_GENDER, CLIPS = 4, 30
CLIP_S, PIECE_S, EDGE_S = (11.9, 16.5), (2.0, 5.0), 0.01
MEETINGS = {"trn07.flac": "meeting-a.ogg", "trn00.flac": "meeting-b.ogg"}  # others hold one voice, or hardly any speech
NIGHTS = ("2026/11/19", "2026/11/20", "2026/11/21")
ODD = {1: ".flac", 5: "-8k.wav", 10: ".opus", 14: ".mp3", 19: "-stereo.ogg", 24: "-8k.wav"}  # by the piece's number
COPIED = 3  # a piece
Row = tuple[str, float, float, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    shared = parser.parse_args().shared
    sample = ROOT / "flows" / "sample"
    shutil.rmtree(sample / "corpus", ignore_errors=True)
    for night in NIGHTS:
        (sample / "corpus" / night).mkdir(parents=True)
    rows = [*_readers(shared / "corpora", sample / "corpus"), *_meetings(shared / "voices", sample / "corpus")]
    _bad_files(sample / "corpus")
    with (sample / "reference.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file", "start_s", "end_s", "speaker"))
        writer.writerows((name, f"{start:.3f}", f"{end:.3f}", who) for name, start, end, who in sorted(rows))


def _readers(corpora: Path, corpus: Path) -> Iterator[Row]:
    """Write the readers' pieces, and a copy of one on another night."""
    clips = _chosen_clips(corpora)
    shortest = sorted(len(waveform) for waveform in clips.values())[4 * len(clips) - CLIPS - 1]
    number = 0
    for nth, (speaker, waveform) in enumerate(clips.items()):
        for part, piece in enumerate(_pieces(waveform, 3 if len(waveform) <= shortest else 4)):
            night = NIGHTS[(part + nth) % len(NIGHTS)]
            name = f"{night}/reader-{speaker.removeprefix('libri-')}-{part + 1}{ODD.get(number, '.ogg')}"
            write(corpus / name, piece)
            yield name, 0.0, len(piece) / RATE_HZ, speaker
            if number == COPIED:
                other = NIGHTS[(part + nth + 1) % len(NIGHTS)]
                copy = f"{other}/{Path(name).stem}-copy{Path(name).suffix}"
                shutil.copyfile(corpus / name, corpus / copy)
                yield copy, 0.0, len(piece) / RATE_HZ, speaker
            number += 1


def _chosen_clips(corpora: Path) -> dict[str, np.ndarray]:
    """Return the clips of the readers, by speaker."""
    with (corpora / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["corpus"].startswith("librispeech")]
    fit = [row for row in rows if is_kept_out(row["speaker"]) and CLIP_S[0] <= float(row["duration_s"]) <= CLIP_S[1]]
    random = np.random.default_rng(SEED)
    chosen: dict[str, str] = {}
    for gender in ("female", "male"):
        mine = sorted((row["speaker"], row["path"]) for row in fit if row["gender"] == gender)
        chosen |= {mine[index] for index in random.permutation(len(mine))[:READERS_OF_A_GENDER]}
    return {speaker: sf.read(corpora / path)[0] for speaker, path in sorted(chosen.items())}


def _pieces(waveform: np.ndarray, n: int) -> Iterator[np.ndarray]:
    """Yield `n` pieces of PIECE_S, cut where the sound is quietest, without clicks at the cuts."""
    hop = RATE_HZ // 100
    power = (waveform[: len(waveform) // hop * hop].reshape(-1, hop) ** 2).mean(axis=1)
    cost = np.log10(np.convolve(power, np.ones(20) / 20, mode="same") + 1e-9)  # over 0.2 s
    cuts = [0, *_quietest_cuts(cost, n, [round(100 * limit) for limit in PIECE_S]), len(power)]
    fade = np.linspace(0.0, 1.0, round(EDGE_S * RATE_HZ))
    for start, end in itertools.pairwise(cuts):
        piece = waveform[start * hop : end * hop].copy()
        piece[: len(fade)] *= fade
        piece[-len(fade) :] *= fade[::-1]
        yield piece


def _quietest_cuts(cost: np.ndarray, n: int, limits: list[int]) -> list[int]:
    """Return n - 1 cuts of the least cost whose pieces keep within `limits` (frames); dynamic programming."""
    best = np.full((n + 1, len(cost) + 1), np.inf)
    back = np.zeros((n + 1, len(cost) + 1), int)
    best[0, 0] = 0.0
    price = np.append(cost, 0.0)
    for part in range(1, n + 1):
        for end in range(limits[0], len(cost) + 1):
            starts = best[part - 1, max(0, end - limits[1]) : end - limits[0] + 1]
            best[part, end] = starts.min() + price[end]
            back[part, end] = max(0, end - limits[1]) + int(starts.argmin())
    cuts = [len(cost)]
    for part in range(n, 1, -1):
        cuts.append(int(back[part, cuts[-1]]))
    return cuts[:0:-1]


def _meetings(voices: Path, corpus: Path) -> Iterator[Row]:
    """Write the excerpts, one a night from the second on."""
    with (voices / "ami" / "reference.csv").open(newline="") as file:
        turns = list(csv.DictReader(file))
    for night, (source, name) in zip(NIGHTS[1:], MEETINGS.items(), strict=True):
        write(corpus / night / name, sf.read(voices / "ami" / source)[0])
        for turn in turns:
            if turn["file"] == source:
                yield f"{night}/{name}", float(turn["start_s"]), float(turn["end_s"]), turn["speaker"]


def _bad_files(corpus: Path) -> None:
    """Write what cannot be used: no bytes, two fifths of a clip, and a text."""
    (flac,) = corpus.rglob("*.flac")
    (corpus / NIGHTS[0] / "empty.wav").write_bytes(b"")
    (corpus / NIGHTS[1] / "truncated.flac").write_bytes(flac.read_bytes()[: flac.stat().st_size * 2 // 5])
    (corpus / NIGHTS[2] / "readme-not-audio.mp3").write_text("Notes. This is text, whatever its name says.\n")


if __name__ == "__main__":
    main()
