"""Who of the enrolled is it, if anybody? Closed and open sets of voices, each enrolled by a single utterance."""

import numpy as np

from models.speaker.score_norm import cosines
from models.speaker.trials import Scores, Utterances


def closed_set(utterances: Utterances, scores: Scores = cosines) -> float:
    """Top-1: each speaker is enrolled with the first utterance, the others look for the nearest; corpora count alike.

    NaN where no corpus has two speakers.
    """
    hits = []
    for part in utterances.by_corpus().values():
        enrolled = np.unique(part.speakers, return_index=True)[1]
        asked = np.setdiff1d(np.arange(len(part)), enrolled)
        nearest = scores(part.vectors[asked], part.vectors[enrolled]).argmax(1)
        hits.append(float(np.mean(part.speakers[enrolled][nearest] == part.speakers[asked])))
    return float(np.mean(hits)) if hits else float("nan")


def open_set(
    utterances: Utterances,
    scores: Scores = cosines,
    *,
    false_accept_rate: float = 0.01,
    n_draws: int = 50,
    seed: int = 0,
) -> dict[str, float]:
    """Half of each corpus's speakers enrolled by one utterance, drawn `n_draws` times; everybody else looks for a name.

    `detection_and_identification`: the share of the enrolled's other utterances that find their own name, at the
    threshold that names `false_accept_rate` of the strangers' utterances; corpora and draws count alike.
    """
    found, named = [], []
    for index, part in enumerate(utterances.by_corpus().values()):
        similarity = scores(part.vectors, part.vectors)
        random = np.random.default_rng([seed, index])
        rates = [_one_draw(part.speakers, similarity, false_accept_rate, random) for _ in range(n_draws)]
        found.append(np.nanmean([rate for rate, _ in rates]))
        named.append(np.nanmean([share for _, share in rates]))
    return {
        "detection_and_identification": round(float(np.mean(found)), 4),
        "identification_of_enrolled": round(float(np.mean(named)), 4),
        "false_accept_rate": false_accept_rate,
    }


def _one_draw(
    speakers: np.ndarray, similarity: np.ndarray, false_accept_rate: float, random: np.random.Generator
) -> tuple[float, float]:
    names = random.permutation(np.unique(speakers))
    chosen = names[: len(names) // 2]
    enrolled = np.array([random.choice(np.flatnonzero(speakers == name)) for name in chosen])
    known = np.setdiff1d(np.flatnonzero(np.isin(speakers, chosen)), enrolled)
    strangers = np.flatnonzero(~np.isin(speakers, chosen))
    if not len(known):
        return float("nan"), float("nan")
    threshold = np.quantile(similarity[strangers][:, enrolled].max(1), 1 - false_accept_rate, method="higher")
    asked = similarity[known][:, enrolled]
    own = speakers[enrolled][asked.argmax(1)] == speakers[known]
    return float(np.mean(own & (asked.max(1) > threshold))), float(np.mean(own))
