"""Label shift: calm dates are calm, mixed ones stay mixed, and what could be anything has no certain emotion."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from models.emotion.label_shift import shifted_posteriors
from models.emotion.logit_statistics import LogitStatistics, contrasts
from models.emotion.speaker_adaptation import NO_SPEAKER

ANGER, HAPPINESS, NEUTRAL, SADNESS = range(4)
SHARES = (0.05, 0.05, 0.85, 0.05)
MEANS = torch.tensor([[2.5, 1, -2, -1.5], [0.5, 2, -1, -1.5], [-2, -1, 2.5, 0.5], [-2.5, -1.5, 0.5, 3.5]]).double()
WITHIN, BETWEEN = 1.0, 2.0  # variances, a contrast each; BETWEEN as the training saw it
STATISTICS = LogitStatistics(MEANS @ contrasts(4).T, WITHIN * torch.eye(3).double(), BETWEEN * torch.eye(3).double())

Night = tuple[Tensor, list[str]]


def make_night(moods: dict[str, Sequence[int]], *, between: float = BETWEEN / 2, seed: int = 0) -> Night:
    """Logits of utterances in these moods, less the mean of the date, as adaptation leaves them."""
    random = torch.Generator().manual_seed(seed)
    basis, rows, names = contrasts(4), [], []
    for name, own in moods.items():
        voice = between**0.5 * torch.randn(3, generator=random).double()
        noise = torch.randn(len(own), 3, generator=random).double()
        rows.append(MEANS[list(own)] + (voice + noise) @ basis)
        names += [name] * len(own)
    logits = torch.cat(rows)
    return logits - logits.mean(0), names


def posteriors(night: Night, weight: float = 1.0, shares: Sequence[float] = SHARES) -> Tensor:
    logits, names = night
    weights = torch.full((len(logits),), weight)
    return shifted_posteriors(logits, logits.softmax(1), names, weights, statistics=STATISTICS, shares=shares)


def test_readers_who_are_calm_throughout_are_neutral() -> None:
    night = make_night({f"reader{index}": [NEUTRAL] * 10 for index in range(12)})
    found = posteriors(night)
    assert float((night[0].argmax(1) == NEUTRAL).double().mean()) < 0.5  # in the middle of all moods
    assert float((found.argmax(1) == NEUTRAL).double().mean()) > 0.9  # one of twelve lies far from the others
    torch.testing.assert_close(found.sum(1), torch.ones(len(found)).double())


def test_actors_of_all_moods_are_scored_as_before() -> None:
    night = make_night({f"actor{index}": [ANGER, HAPPINESS, NEUTRAL, SADNESS] * 8 for index in range(6)}, between=0.1)
    torch.testing.assert_close(posteriors(night), night[0].softmax(1), atol=0.05, rtol=0)


def test_half_a_night_acted_and_half_read() -> None:
    moods = [ANGER, HAPPINESS, NEUTRAL, SADNESS] * 8
    readers = {f"reader{index}": [NEUTRAL] * 16 for index in range(8)}
    actors = {f"actor{index}": moods for index in range(4)}
    found = posteriors(make_night(readers | actors, between=0.5)).argmax(1)
    assert float((found[: 8 * 16] == NEUTRAL).double().mean()) > 0.95
    truth = torch.tensor(moods * 4)
    assert float((found[8 * 16 :] == truth).double().mean()) > 0.6


def test_who_is_angry_all_night_stays_angry_among_the_calm() -> None:
    readers = {f"reader{index}": [NEUTRAL] * 10 for index in range(12)}
    found = posteriors(make_night({"angry": [ANGER] * 10} | readers, between=0.5))
    assert float((found[:10].argmax(1) == ANGER).double().mean()) > 0.9
    assert float((found[10:].argmax(1) == NEUTRAL).double().mean()) > 0.95


@pytest.mark.parametrize("place", range(4))
def test_a_single_utterance_is_hardly_certain_of_anything_but_what_is_expected(place: int) -> None:
    """Nothing tells its offset from its mood."""
    lone = 0.5 * MEANS[[place]]
    found = posteriors((lone, ["lone"]))[0]
    others = torch.cat([found[:NEUTRAL], found[NEUTRAL + 1 :]])
    assert float(others.max()) < 0.5


def test_little_speech_says_little() -> None:
    night = make_night({"angry": [ANGER] * 2, **{f"reader{index}": [NEUTRAL] * 10 for index in range(12)}})
    long, short = posteriors(night), posteriors(night, weight=0.1)
    assert float(short[:2, ANGER].mean()) < float(long[:2, ANGER].mean())


def test_who_is_not_told_is_nobody_s_neighbour() -> None:
    """Utterances without a speaker have an offset each, not one together."""
    logits, names = make_night({f"reader{index}": [NEUTRAL] * 10 for index in range(6)})
    unknown = [NO_SPEAKER if index % 10 == 0 else name for index, name in enumerate(names)]
    apart = [f"unknown{index}" if name == NO_SPEAKER else name for index, name in enumerate(unknown)]
    torch.testing.assert_close(posteriors((logits, unknown)), posteriors((logits, apart)))


def test_the_order_of_utterances_does_not_matter() -> None:
    logits, names = make_night({"x": [NEUTRAL] * 5 + [ANGER], "y": [SADNESS] * 4, "z": [NEUTRAL] * 7})
    order = torch.randperm(len(logits), generator=torch.Generator().manual_seed(1))
    mixed = posteriors((logits[order], [names[index] for index in order]))
    torch.testing.assert_close(mixed, posteriors((logits, names))[order])


def test_other_shares_are_other_answers() -> None:
    night = make_night({f"caller{index}": [NEUTRAL] * 3 for index in range(10)})
    angry = posteriors(night, shares=(0.85, 0.05, 0.05, 0.05))
    assert float((angry.argmax(1) == ANGER).double().mean()) > 0.9  # a date in one mood has the mood that is expected


def test_nothing_is_nothing() -> None:
    assert posteriors((torch.zeros(0, 4), [])).shape == (0, 4)
