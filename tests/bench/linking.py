"""Speaker linking over several nights of real clips, as the pipeline links them.

    .venv/bin/python tests/bench/linking.py CORPORA_DIR [--model DIR] [--draws N]

CORPORA_DIR holds labels.csv (path, corpus, speaker, emotion); `--model` a speaker model's folder (default: the shipped
one). The speech of each clip is an utterance; a longer one is cut into utterances of about three seconds. Shuffled, one
to three utterances of a speaker make a recording, and recordings are dealt to five nights; in the rows of two voices a
recording holds the turns of two speakers of one corpus. Each night is linked against those before it. A row is the mean
over the draws.

Purity: the share of the seconds whose found speaker is mostly their own true speaker. Coverage: the share whose true
speaker is mostly their found one (as pyannote.metrics defines the two, Bredin, Interspeech 2017); what has no speaker
is not covered, `nobody's` is its share. `again`: the share of utterances that have the same speaker when all the nights
are linked once more against all that were found.

A lever is what the row adds to the one above. A model without log odds of its own gets them, and a centre, from the
voices that thresholds may be set on (`is_dev`), which are in no row then.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from single_voices import is_dev
from tables import print_head, print_row

from features.decode.config import SAMPLE_RATE
from models.data.labelled_speech import read_speech
from models.data.labels_file import read_labels
from models.speaker import linking, voices
from models.speaker.centring import centred, night_centre
from models.speaker.decision import Decision
from models.speaker.linking import Voiceprint, link_speakers
from models.speaker.log_odds import fit_log_odds
from models.speaker.model import SpeakerModel
from models.speaker.trials import embed_all

N_NIGHTS, LONGEST_RECORDING, MAX_A_SPEAKER, PIECE_S = 5, 3, 24, 3.0
UNLIKE_TRAINING = {"fsdd"}
Centre = Callable[[np.ndarray, np.ndarray, Decision], np.ndarray]


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
    speech = utterances(model, options.corpora)
    unlike = np.isin(speech.corpora, list(UNLIKE_TRAINING))
    decision, is_fit = fitted_decision(model, speech)
    groups = {
        "held out of the training": ~speech.seen & ~is_fit & ~unlike,
        "held out, unlike the training (digits, 8 kHz)": ~speech.seen & ~is_fit & unlike,
        "all of the training's corpora, most seen in training": ~unlike & ~is_fit,
    }
    levers: dict[str, tuple[Decision, Centre, float]] = {
        "cosines, anybody may found": (replace(decision, log_odds=None), _no_centre, 0.0),
        "founders of 1.5 s or more": (replace(decision, log_odds=None), _no_centre, 1.5),
        "durations": (decision, _no_centre, 1.5),
        "the model's centre": (decision, lambda vectors, _, rule: rule.own_centre(vectors.shape[1]), 1.5),
        "the night's centre": (decision, night_centre, 1.5),
    }
    print(f"encoder {model.extractor_digest}, {decision.log_odds}; {N_NIGHTS} nights, {options.draws} draws\n")
    print_head(
        *("voices", "a recording holds", "lever", "purity", "coverage", "nobody's", "true", "found"),
        *("found by night (true)", "again"),
    )
    for name, chosen in groups.items():
        pool = np.flatnonzero(chosen)
        for n_voices in (1, 2):
            if len(np.unique(speech.speakers[pool])) < 2:
                continue
            dealt = [deal(speech, pool, n_voices, seed) for seed in range(options.draws)]
            for lever, (rule, centre, founder_s) in levers.items():
                voices.MIN_VOICE_S = linking.MIN_VOICE_S = founder_s
                draws = [link(speech, nights, rule, centre) for nights in dealt]
                print_row(name, f"{n_voices} voice{'s' * (n_voices > 1)}", lever, row(draws))


def fitted_decision(model: SpeakerModel, speech: "Utterances") -> tuple[Decision, np.ndarray]:
    """Return the model's rule, fitted where it has none that knows durations, and the rows that it was fitted on."""
    decision = Decision.from_encoder(model)
    if decision.log_odds is not None:
        return decision, np.zeros(len(speech.speakers), bool)
    rows = np.array([is_dev(str(name)) for name in speech.speakers])
    centre = speech.embeddings[rows].mean(0)
    vectors = centred(speech.embeddings[rows], centre)
    log_odds = fit_log_odds(vectors, speech.speakers[rows], speech.corpora[rows], speech.seconds[rows])
    return replace(decision, log_odds=log_odds, centre=centre), rows


def _no_centre(vectors: np.ndarray, *_: object) -> np.ndarray:
    return np.zeros(vectors.shape[1], np.float32)


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
    nobodys: float
    by_night: list[tuple[int, int]]  # speakers found and true, up to this night
    again: float


def link(speech: Utterances, nights: list[list[list[int]]], decision: Decision, centre: Centre) -> Linked:
    remembered: list[Voiceprint] = []
    places: list[int] = []
    found: list[str | None] = []
    by_night = []

    def one(night: int) -> tuple[list[int], list[str | None], list[Voiceprint]]:
        named = [(f"night{night}-{n:05}", members) for n, members in enumerate(nights[night])]
        keys = [(name, 0, segment) for name, members in named for segment in range(len(members))]
        chosen = [index for _, members in named for index in members]
        answer = link_speakers(
            keys,
            speech.embeddings[chosen],
            speech.seconds[chosen],
            remembered,
            decision=decision,
            centre=centre(speech.embeddings[chosen], speech.seconds[chosen], decision),
            pseudonym_key="bench",
        )
        return chosen, answer.speaker_ids, answer.founded

    for night in range(len(nights)):
        chosen, names, founded = one(night)
        remembered = remembered + founded
        places += chosen
        found += names
        by_night.append((len(set(found) - {None}), len(set(speech.speakers[places]))))
    once_more = [name for night in range(len(nights)) for name in one(night)[1]]
    same = np.mean([before == after for before, after in zip(found, once_more, strict=True)])
    figures = purity_and_coverage(speech.speakers[places], found, speech.seconds[places])
    return Linked(*figures, by_night, float(same))


def purity_and_coverage(true: np.ndarray, found: list[str | None], seconds: np.ndarray) -> tuple[float, float, float]:
    """Return purity, coverage and the share of nobody's speech.

    >>> purity_and_coverage(np.array(["a", "a", "b", "b"]), ["x", "y", "y", None], np.array([1.0, 2.0, 1.0, 1.0]))
    (0.75, 0.6, 0.2)
    """
    has_speaker = np.array([name is not None for name in found])
    names = [name for name in found if name is not None]
    if not names:
        return 1.0, 0.0, 1.0
    (trues, column), (founds, line) = (np.unique(each, return_inverse=True) for each in (true, np.array(names)))
    table = np.zeros((len(founds), len(trues)))
    np.add.at(table, (line, column[has_speaker]), seconds[has_speaker])
    purity, total = table.max(1).sum() / table.sum(), seconds.sum()
    return float(purity), float(table.max(0).sum() / total), float(seconds[~has_speaker].sum() / total)


def row(draws: list[Linked]) -> str:
    purity, coverage, nobodys = np.mean([(draw.purity, draw.coverage, draw.nobodys) for draw in draws], axis=0)
    again = np.mean([draw.again for draw in draws])
    nights = np.mean([draw.by_night for draw in draws], axis=0)
    told = ", ".join(f"{found:.0f} ({true:.0f})" for found, true in nights)
    counts = f"{nights[-1, 1]:.0f} | {nights[-1, 0]:.0f} | {told}"
    return f"{purity:.3f} | {coverage:.3f} | {nobodys:.3f} | {counts} | {again:.3f}"


if __name__ == "__main__":
    main()
