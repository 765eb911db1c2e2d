"""Speaker linking over several nights of real clips, as the pipeline links them.

    .venv/bin/python tests/bench/linking.py CORPORA_DIR [--model DIR] [--draws N]

CORPORA_DIR holds labels.csv (path, corpus, speaker, emotion); `--model` a speaker model's folder (default: the shipped
one). The speech of each clip is an utterance; a longer one is cut into utterances of about three seconds. Shuffled, one
to three utterances of a speaker make a recording, and recordings are dealt to five nights; in the rows of two voices a
recording holds the turns of two speakers of one corpus. Each night is linked against those before it. A row is the mean
over the draws.

Purity: the share of the seconds whose found speaker is mostly their own true speaker. Coverage: the share whose true
speaker is mostly their found one (as pyannote.metrics defines the two, Bredin, Interspeech 2017). `again`: the share
of utterances that have the same speaker when all the nights are linked once more against all that were found.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tables import print_head, print_row

from features.decode.config import SAMPLE_RATE
from models.data.labelled_speech import read_speech
from models.data.labels_file import read_labels
from models.speaker.linking import Decision, Voiceprint, link_speakers
from models.speaker.model import SpeakerModel
from models.speaker.trials import embed_all

N_NIGHTS, LONGEST_RECORDING, MAX_A_SPEAKER, PIECE_S = 5, 3, 24, 3.0
UNLIKE_TRAINING = {"fsdd"}


@dataclass(frozen=True)
class Utterances:
    """Row by row: whose, of which corpus, how long, and the voice; `seen` where the encoder was trained on theirs."""

    embeddings: np.ndarray  # (n, dim)
    speakers: np.ndarray
    corpora: np.ndarray
    seconds: np.ndarray
    seen: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--model", type=Path, default=Path(__file__).parents[2] / "models" / "weights" / "speaker")
    parser.add_argument("--draws", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = SpeakerModel.load(options.model)
    decision = Decision(model.threshold, *model.calibration)
    speech = utterances(model, options.corpora)
    unlike = np.isin(speech.corpora, list(UNLIKE_TRAINING))
    groups = {
        "held out of the training": ~speech.seen & ~unlike,
        "held out, unlike the training (digits, 8 kHz)": ~speech.seen & unlike,
        "all of the training's corpora, most seen in training": ~unlike,
    }
    print(
        f"encoder {model.extractor_digest}, threshold {decision.threshold:.3f}, in a recording {decision.within:.3f}; "
        f"{N_NIGHTS} nights, {options.draws} draws\n"
    )
    print_head("voices", "a recording holds", "purity", "coverage", "true", "found", "found by night (true)", "again")
    for name, chosen in groups.items():
        pool = np.flatnonzero(chosen)
        for n_voices in (1, 2):
            if len(np.unique(speech.speakers[pool])) < 2:
                continue
            draws = [link(speech, deal(speech, pool, n_voices, seed), decision) for seed in range(options.draws)]
            print_row(name, f"{n_voices} voice{'s' * (n_voices > 1)}", row(draws))


def utterances(model: SpeakerModel, folder: Path) -> Utterances:
    """Every labelled clip's speech, embedded; rounded to float16 as in the store."""
    pieces, rows = [], []
    for item in read_speech([clip for clip in read_labels([folder]) if clip.speaker]):
        seconds = len(item.waveform) / SAMPLE_RATE
        n_pieces = max(1, round(seconds / PIECE_S)) if seconds >= 2 * PIECE_S else 1
        for piece in np.array_split(item.waveform, n_pieces):
            pieces.append(piece)
            rows.append((item.clip.speaker, item.clip.corpus, len(piece) / SAMPLE_RATE, item.recording_id))
    speakers, corpora, seconds, recordings = (np.array(column) for column in zip(*rows, strict=True))
    trained = np.unique(speakers[np.isin(recordings, list(model.trained_on))])
    vectors = embed_all(model, pieces).astype(np.float16).astype(np.float32)
    return Utterances(vectors, speakers, corpora, seconds, np.isin(speakers, trained))


def deal(speech: Utterances, pool: np.ndarray, n_voices: int, seed: int) -> list[list[list[int]]]:
    """Nights of recordings of utterances."""
    random = np.random.default_rng(seed)
    by_speaker: dict[str, list[int]] = {}
    for index in random.permutation(pool):
        by_speaker.setdefault(str(speech.speakers[index]), []).append(int(index))
    turns = []
    for _, members in sorted(by_speaker.items()):
        rest = members[:MAX_A_SPEAKER]
        while rest:
            n = int(random.integers(1, LONGEST_RECORDING + 1))
            turns.append(rest[:n])
            rest = rest[n:]
    turns = [turns[place] for place in random.permutation(len(turns))]
    recordings = turns if n_voices == 1 else _in_pairs(speech, turns)
    return [recordings[night::N_NIGHTS] for night in range(N_NIGHTS)]


def _in_pairs(speech: Utterances, turns: list[list[int]]) -> list[list[int]]:
    waiting, paired = list(turns), []
    while waiting:
        first = waiting.pop()
        fits = (
            place
            for place, other in enumerate(waiting)
            if speech.corpora[other[0]] == speech.corpora[first[0]]
            and speech.speakers[other[0]] != speech.speakers[first[0]]
        )
        place = next(fits, None)
        paired.append(first + (waiting.pop(place) if place is not None else []))
    return paired


@dataclass(frozen=True)
class Linked:
    """Results of linking some nights."""

    purity: float
    coverage: float
    by_night: list[tuple[int, int]]  # speakers found and true, up to this night
    again: float


def link(speech: Utterances, nights: list[list[list[int]]], decision: Decision) -> Linked:
    remembered: list[Voiceprint] = []
    places: list[int] = []
    found: list[str] = []
    by_night = []

    def one(night: int) -> tuple[list[int], list[str], list[Voiceprint]]:
        named = [(f"night{night}-{n:05}", members) for n, members in enumerate(nights[night])]
        keys = [(name, 0, segment) for name, members in named for segment in range(len(members))]
        chosen = [index for _, members in named for index in members]
        answer = link_speakers(
            keys,
            speech.embeddings[chosen],
            speech.seconds[chosen],
            remembered,
            decision=decision,
            pseudonym_key="bench",
        )
        return chosen, answer.speaker_ids, answer.founded

    for night in range(len(nights)):
        chosen, names, founded = one(night)
        remembered = remembered + founded
        places += chosen
        found += names
        by_night.append((len(set(found)), len(set(speech.speakers[places]))))
    once_more = [name for night in range(len(nights)) for name in one(night)[1]]
    same = np.mean([before == after for before, after in zip(found, once_more, strict=True)])
    return Linked(*purity_and_coverage(speech.speakers[places], found, speech.seconds[places]), by_night, float(same))


def purity_and_coverage(true: np.ndarray, found: list[str], seconds: np.ndarray) -> tuple[float, float]:
    """
    >>> purity_and_coverage(np.array(["a", "a", "b"]), ["x", "y", "y"], np.array([1.0, 2.0, 1.0]))
    (0.75, 0.75)
    """
    (trues, column), (founds, line) = (np.unique(names, return_inverse=True) for names in (true, np.array(found)))
    table = np.zeros((len(founds), len(trues)))
    np.add.at(table, (line, column), seconds)
    return float(table.max(1).sum() / table.sum()), float(table.max(0).sum() / table.sum())


def row(draws: list[Linked]) -> str:
    purity, coverage = np.mean([(draw.purity, draw.coverage) for draw in draws], axis=0)
    again = np.mean([draw.again for draw in draws])
    nights = np.mean([draw.by_night for draw in draws], axis=0)
    told = ", ".join(f"{found:.0f} ({true:.0f})" for found, true in nights)
    return f"{purity:.3f} | {coverage:.3f} | {nights[-1, 1]:.0f} | {nights[-1, 0]:.0f} | {told} | {again:.3f}"


if __name__ == "__main__":
    main()
