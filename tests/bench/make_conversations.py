"""Conversations and readings made of real voices, with who speaks when.

    .venv/bin/python tests/bench/make_conversations.py conversations|readers|actors OUT
        [--voices kept-out|dev|train|FILE] [--corpora DIR] [--n-voices 10] [--first-voice 0] [--files N]
        [--minutes 25] [--nights 3] [--seed 0]

OUT becomes a corpus laid out by date, `OUT/2026/11/21/….flac`, with `OUT/reference.csv` (file, start_s, end_s,
speaker). Voices are those of LibriSpeech in ../shared/corpora with one clip of 9 s or more: by default the ones that
no shipped model learns from (`models.data.kept_out`); `dev` are those that thresholds may be set on; a FILE names
speakers, one a line. `--first-voice` takes others of the same choice. The same seed makes the same bytes.

conversations  on one channel, of two to four voices: turns of 1.5 to 9 s, pauses of 0.1 to 1.5 s, a fifth of the turns
               beginning up to 1.5 s before the one before ends; rooms, seats, levels and noise drawn for each; every
               other one through a telephone's band (8 kHz, mu-law or GSM), each speaker at a microphone of their own
readers        of one voice, 2 to 20 s: a room, a microphone, a level and noise drawn for each file
actors         neutral and calm clips of RAVDESS as they are, of the first `--n-voices`: no voice is cut and repeated
"""

import argparse
import csv
import datetime as dt
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rooms
import soundfile as sf
import soxr
from single_voices import Voice, join, phrases, read_voices, stretch

from features.decode.config import SAMPLE_RATE

SHARED = Path(__file__).parents[2].parent / "shared" / "corpora"
CORPUS, FIRST_NIGHT = "librispeech_train-clean-100", dt.date(2026, 11, 21)
TURN_S, PAUSE_S, OVERLAP_S, OVERLAP_SHARE = (1.5, 9.0), (0.1, 1.5), (0.3, 1.5), 0.2
READING_S = (2.0, 20.0)
Row = tuple[str, float, float, str]


@dataclass(frozen=True)
class Made:
    """A file: `turns` are start and end in seconds, and who."""

    waveform: np.ndarray
    turns: list[tuple[float, float, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("conversations", "readers", "actors"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--voices", default="kept-out", help="kept-out, dev, train, or a file of names")
    parser.add_argument("--corpora", type=Path, default=SHARED)
    parser.add_argument("--n-voices", type=int, default=10)
    parser.add_argument("--first-voice", type=int, default=0, help="of the choice, shuffled once for all seeds")
    parser.add_argument("--files", type=int, help="default: 16 conversations, 100 readings")
    parser.add_argument("--minutes", type=float, default=25.0, help="of conversations, all together")
    parser.add_argument("--nights", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    if options.kind == "actors":
        write_reference(
            options.out, deal_actors(options.corpora, options.out, options.n_voices, options.nights, random)
        )
        return
    voices = draw_voices(options.corpora, options.voices, options.n_voices, options.first_voice)
    rows: list[Row] = []
    n_files = options.files or (16 if options.kind == "conversations" else 100)
    companies = draw_companies(voices, n_files, random)
    seconds = 0.0
    for nth in range(n_files):
        night = FIRST_NIGHT + dt.timedelta(days=nth % options.nights)
        name = f"{night:%Y/%m/%d}/{options.kind[:-1]}-{nth:03}"
        if options.kind == "conversations":
            made = conversation(companies[nth], 60 * options.minutes / n_files * random.uniform(0.8, 1.2), random)
            path = write(options.out / name, made.waveform, line=nth % 4)
        else:
            made = reading(voices[nth % len(voices)], random)
            path = write(options.out / name, made.waveform, line=0)
        rows += [(str(path.relative_to(options.out)), *turn) for turn in made.turns]
        seconds += len(made.waveform) / SAMPLE_RATE
    write_reference(options.out, rows)
    print(f"{n_files} {options.kind} of {len(voices)} voices, {seconds / 60:.1f} minutes, in {options.out}")


def write_reference(folder: Path, rows: list[Row]) -> None:
    with (folder / "reference.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file", "start_s", "end_s", "speaker"))
        writer.writerows((name, f"{start:.3f}", f"{end:.3f}", who) for name, start, end, who in rows)


def deal_actors(corpora: Path, out: Path, n_voices: int, n_nights: int, random: np.random.Generator) -> list[Row]:
    """Copy the calm clips, shuffled over the nights; return who speaks when in them."""
    with (corpora / "labels.csv").open() as file:
        labels = [row for row in csv.DictReader(file) if row["corpus"] == "ravdess"]
    chosen = sorted({row["speaker"] for row in labels})[:n_voices]
    clips = [row for row in labels if row["speaker"] in chosen and row["emotion"] in {"neutral", "calm"}]
    rows = []
    for nth, place in enumerate(random.permutation(len(clips))):
        source = corpora / clips[place]["path"]
        target = out / f"{FIRST_NIGHT + dt.timedelta(days=nth % n_nights):%Y/%m/%d}" / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
        waveform, rate = sf.read(source, dtype="float32")
        spans = join(phrases(soxr.resample(waveform, rate, SAMPLE_RATE)), 0.3)
        name, speaker = str(target.relative_to(out)), clips[place]["speaker"]
        rows += [(name, start / SAMPLE_RATE, end / SAMPLE_RATE, speaker) for start, end in spans]
    return rows


def draw_voices(corpora: Path, choice: str, n: int, first: int) -> list[Voice]:
    voices = read_voices(corpora, CORPUS, choice)
    order = np.random.default_rng(17).permutation(len(voices))[first : first + n]
    if len(order) < n:
        raise SystemExit(f"expected {n} voices from the {first}th on, found {len(voices)} that are {choice}")
    return [voices[place] for place in order]


def draw_companies(voices: list[Voice], n: int, random: np.random.Generator) -> list[list[Voice]]:
    """Return two to four voices for each conversation, each voice about as often as the others."""
    waiting: list[int] = []
    companies = []
    for nth in range(n):
        company: list[int] = []
        while len(company) < min(2 + nth // 2 % 3, len(voices)):
            waiting = waiting or [int(place) for place in random.permutation(len(voices))]
            chosen = next((place for place in waiting if place not in company), None)
            if chosen is None:
                waiting += [int(place) for place in random.permutation(len(voices))]
                continue
            waiting.remove(chosen)
            company.append(chosen)
        companies.append([voices[place] for place in company])
    return companies


def conversation(company: list[Voice], seconds: float, random: np.random.Generator) -> Made:
    """Return a conversation of about `seconds`, at 16 kHz: who speaks next is drawn among the others."""
    room, level_db = rooms.Room.draw(random), random.uniform(-34, -22)
    responses = {voice.speaker: room.response(random) for voice in company}
    curves = {voice.speaker: rooms.microphone(random) for voice in company}
    levels_db = {voice.speaker: level_db + random.uniform(-5, 5) for voice in company}
    heard = np.zeros(round((seconds + 2 * TURN_S[1]) * SAMPLE_RATE))
    turns: list[tuple[float, float, str]] = []
    at, before, latest = round(random.uniform(0.2, 1.5) * SAMPLE_RATE), None, 0
    while at < seconds * SAMPLE_RATE:
        voice = company[int(random.choice([k for k, other in enumerate(company) if other is not before]))]
        turn = stretch(voice, random.uniform(*TURN_S), random)
        placed = rooms.through(
            rooms.place(turn.waveform, responses[voice.speaker], levels_db[voice.speaker]), curves[voice.speaker]
        )
        heard[at : at + len(placed)] += placed
        turns += [((at + a) / SAMPLE_RATE, (at + b) / SAMPLE_RATE, voice.speaker) for a, b in turn.speech]
        latest, before = at + len(placed), voice
        overlaps = random.random() < OVERLAP_SHARE and len(placed) > 2 * OVERLAP_S[1] * SAMPLE_RATE
        at = latest + round((-random.uniform(*OVERLAP_S) if overlaps else random.uniform(*PAUSE_S)) * SAMPLE_RATE)
    end = round(max(end for _, end, _ in turns) * SAMPLE_RATE + random.uniform(0.2, 1.5) * SAMPLE_RATE)
    noise = rooms.background(end, level_db - random.uniform(18, 40), random)
    return Made(heard[:end] + noise, turns)


def reading(voice: Voice, random: np.random.Generator) -> Made:
    read = stretch(voice, random.uniform(*READING_S), random)
    level_db, before = random.uniform(-34, -20), round(random.uniform(0.1, 0.6) * SAMPLE_RATE)
    placed = rooms.through(
        rooms.place(read.waveform, rooms.Room.draw(random).response(random), level_db), rooms.microphone(random)
    )
    whole = np.pad(placed, (before, round(random.uniform(0.1, 0.6) * SAMPLE_RATE)))
    noise = rooms.background(len(whole), level_db - random.uniform(22, 45), random)
    turns = [((before + a) / SAMPLE_RATE, (before + b) / SAMPLE_RATE, voice.speaker) for a, b in read.speech]
    return Made(whole + noise, turns)


def write(path: Path, waveform: np.ndarray, *, line: int) -> Path:
    """Write a file and return its path: of every four lines the second is mu-law's and the fourth GSM's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    quiet = waveform * min(1.0, 0.95 / np.abs(waveform).max())
    if line % 2 == 0:
        target = path.with_suffix(".flac")
        sf.write(target, quiet, SAMPLE_RATE, subtype="PCM_16")
        return target
    target = path.with_suffix(".wav")
    sf.write(target, rooms.telephone(quiet).clip(-1, 1), 8_000, subtype="ULAW" if line == 1 else "GSM610")
    return target


if __name__ == "__main__":
    main()
