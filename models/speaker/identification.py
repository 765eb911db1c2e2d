"""Closed-set and open-set speaker identification, each speaker enrolled by a single utterance."""

import numpy as np

from models.speaker.score_norm import cosines
from models.speaker.trials import Scores, Utterances


def closed_set(utterances: Utterances, scores: Scores = cosines) -> float:
    """Return the top-1 accuracy: speakers enrolled by their first utterance, the others matched to the nearest.

    Corpora count alike.
    NaN where no corpus has two speakers.
    """
    hits = []
    for part in utterances.by_corpus().values():
        enrolled = np.unique(part.speakers, return_index=True)[1]
        probes = np.setdiff1d(np.arange(len(part)), enrolled)
        nearest = scores(part.vectors[probes], part.vectors[enrolled]).argmax(1)
        hits.append(float(np.mean(part.speakers[enrolled][nearest] == part.speakers[probes])))
    return float(np.mean(hits)) if hits else float("nan")


def open_set(
    utterances: Utterances,
    scores: Scores = cosines,
    *,
    false_accept_rate: float = 0.01,
    n_draws: int = 50,
    seed: int = 0,
) -> dict[str, float]:
    """Return the rates of open-set identification: half of each corpus's speakers enrolled, the others strangers.

    One utterance enrolls a speaker; the draw is repeated `n_draws` times.
    `detection_and_identification`: the share of the enrolled speakers' other utterances that are matched to their own
    name, at the threshold that accepts `false_accept_rate` of the strangers' utterances; corpora and draws count alike.
    """
    detected, identified = [], []
    for index, part in enumerate(utterances.by_corpus().values()):
        similarity = scores(part.vectors, part.vectors)
        random = np.random.default_rng([seed, index])
        rates = [_one_draw(part.speakers, similarity, false_accept_rate, random) for _ in range(n_draws)]
        detected.append(np.nanmean([rate for rate, _ in rates]))
        identified.append(np.nanmean([share for _, share in rates]))
    return {
        "detection_and_identification": round(float(np.mean(detected)), 4),
        "identification_of_enrolled": round(float(np.mean(identified)), 4),
        "false_accept_rate": false_accept_rate,
    }


def _one_draw(
    speakers: np.ndarray, similarity: np.ndarray, false_accept_rate: float, random: np.random.Generator
) -> tuple[float, float]:
    names = random.permutation(np.unique(speakers))
    enrolled_names = names[: len(names) // 2]
    enrolled = np.array([random.choice(np.flatnonzero(speakers == name)) for name in enrolled_names])
    known = np.setdiff1d(np.flatnonzero(np.isin(speakers, enrolled_names)), enrolled)
    strangers = np.flatnonzero(~np.isin(speakers, enrolled_names))
    if not len(known):
        return float("nan"), float("nan")
    threshold = np.quantile(similarity[strangers][:, enrolled].max(1), 1 - false_accept_rate, method="higher")
    probes = similarity[known][:, enrolled]
    is_correct = speakers[enrolled][probes.argmax(1)] == speakers[known]
    return float(np.mean(is_correct & (probes.max(1) > threshold))), float(np.mean(is_correct))
