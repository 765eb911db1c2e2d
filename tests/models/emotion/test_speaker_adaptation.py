"""Speaker adaptation: known offsets are recovered, emotions are not mistaken for offsets."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.emotion.speaker_adaptation import Prior, Sums, adapt, corpus_offset, speaker_offsets, utterance_weight

MEANS = torch.tensor([[2.0, 0.0, 0.0], [-2.0, 0.0, 0.0]])  # two moods, posteriors apart by the first feature
PRIOR = Prior(torch.full((3,), 1.0), torch.full((3,), 0.25), torch.full((3,), 4.0), MEANS)


def class_posteriors(features: Tensor) -> Tensor:
    """Return posteriors of two moods; the odds of the first rise with the first feature."""
    odds = 4 * features[:, 0]
    return torch.stack([odds, -odds], dim=1).softmax(1)


def make_utterances(offsets: dict[str, Tensor], moods: str, seed: int = 0) -> tuple[Tensor, list[str], Tensor]:
    """Return features, speakers and true moods: an utterance a speaker and letter of `moods` (`a` or `b`)."""
    random = torch.Generator().manual_seed(seed)
    rows = [(name, "ab".index(mood)) for name in offsets for mood in moods]
    features = torch.stack([offsets[name] + MEANS[mood] for name, mood in rows])
    return (
        features + 0.3 * torch.randn(features.shape, generator=random),
        [name for name, _ in rows],
        torch.tensor([mood for _, mood in rows]),
    )


def adapt_equally(features: Tensor, speakers: list[str]) -> Tensor:
    return adapt(features, speakers, torch.ones(len(speakers)), prior=PRIOR, class_posteriors=class_posteriors)


def test_speakers_of_both_moods_are_brought_together() -> None:
    offsets = {"x": torch.tensor([0.8, 2.0, -1.0]), "y": torch.tensor([-0.8, -2.0, 1.0])}
    features, speakers, moods = make_utterances(offsets, "ab" * 30)
    left = adapt_equally(features, speakers) - MEANS[moods]
    assert float(left.square().mean()) < 0.15  # the rest alone has 0.09; with the offsets it was 2
    assert float((features - MEANS[moods]).square().mean()) > 1.5


def test_a_speaker_of_one_mood_keeps_it() -> None:
    """Subtracting each speaker's mean would leave nothing to tell the two apart by."""
    features, speakers, _ = make_utterances({"x": torch.zeros(3)}, "a" * 20)
    others, names, _ = make_utterances({"y": torch.zeros(3)}, "b" * 20, seed=1)
    posteriors = class_posteriors(adapt_equally(torch.cat([features, others]), speakers + names))
    assert bool((posteriors[:20, 0] > 0.9).all())
    assert bool((posteriors[20:, 1] > 0.9).all())


def test_who_is_heard_often_and_in_all_moods_is_adapted_the_more() -> None:
    """The same offset and the same number of utterances: even moods are evidence of a voice, one mood is not."""
    weight, features = torch.tensor([4.0, 4.0]).double(), torch.tensor([[0.0, 6.0, 0.0], [0.0, 0.0, 0.0]]).double()
    moods = torch.tensor([[2.0, 2.0], [4.0, 0.0]]).double()
    sums = (Sums(("x", "y"), weight, features, own.expand(2, 2)) for own in moods)
    even, one = (speaker_offsets(each, PRIOR)[0, 1] for each in sums)
    assert float(even) > float(one) > 0


def test_who_is_heard_once_is_hardly_moved() -> None:
    features, speakers, _ = make_utterances({"x": torch.tensor([0.0, 3.0, 0.0])}, "ab" * 40)
    lone = torch.tensor([[0.0, 0.0, 2.0]])
    moved = adapt_equally(torch.cat([features, lone]), [*speakers, "lone"])[-1]
    corpus = torch.cat([features, lone]).mean(0)
    assert float((lone[0] - corpus - moved).norm()) < 0.7 * float((lone[0] - corpus).norm())


@pytest.mark.parametrize(("n", "share"), [(1, 0.4), (1000, 0.99)])
def test_a_corpus_is_believed_by_its_size(n: int, share: float) -> None:
    sums = Sums.from_utterances(["x"] * n, torch.ones(n), torch.ones(n, 3), torch.zeros(n, 2))
    offset = corpus_offset(sums, PRIOR)
    assert bool(((offset > share) & (offset <= 1)).all())
    if n == 1:
        assert bool((offset < 0.8).all())


def test_shards_add_up_in_any_order() -> None:
    features, speakers, moods = make_utterances({"x": torch.ones(3), "y": -torch.ones(3)}, "abbab")
    moods_one_hot, weight = torch.nn.functional.one_hot(moods, 2).float(), torch.rand(10)
    whole = Sums.from_utterances(speakers, weight, features, moods_one_hot)
    parts = [
        Sums.from_utterances([speakers[i] for i in rows], weight[rows], features[rows], moods_one_hot[rows])
        for rows in ([7, 2, 9], [0, 1], [8, 6, 5, 4, 3])
    ]
    together = Sums.merge(parts)
    assert together.speakers == whole.speakers == ("x", "y")
    for name in ("weight", "features", "posteriors"):
        torch.testing.assert_close(getattr(together, name), getattr(whole, name))


def test_passes_over_shards_are_the_same_as_all_at_once() -> None:
    """The passes of the stage over Dask against `adapt` in memory."""
    features, speakers, _ = make_utterances({"x": torch.ones(3), "y": -torch.ones(3)}, "abbab")
    weight, place = torch.ones(10), torch.tensor([0] * 5 + [1] * 5)
    sums = Sums.from_utterances(speakers, weight, features, torch.zeros(10, 2))
    offset = corpus_offset(sums, PRIOR).float().expand(10, -1)
    for _ in range(2):
        halves = [slice(0, 7), slice(7, 10)]
        expected = Sums.merge(
            [
                Sums.from_utterances(speakers[h], weight[h], features[h, :0], class_posteriors(features[h] - offset[h]))
                for h in halves
            ]
        )
        offset = speaker_offsets(replace(sums, posteriors=expected.posteriors), PRIOR).float()[place]
    torch.testing.assert_close(features - offset, adapt_equally(features, speakers))


def test_short_utterances_weigh_less() -> None:
    assert utterance_weight(torch.tensor([0.0, 1.0, 2.0, 9.0])).tolist() == [0.0, 0.5, 1.0, 1.0]
    features = torch.tensor([[1.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    even = Sums.from_utterances(["x", "x"], torch.tensor([1.0, 1.0]), features, torch.zeros(2, 2))
    uneven = Sums.from_utterances(["x", "x"], torch.tensor([1.0, 0.1]), features, torch.zeros(2, 2))
    assert corpus_offset(uneven, PRIOR)[0] < corpus_offset(even, PRIOR)[0]


def test_nobody_and_nothing_is_finite() -> None:
    assert adapt(torch.zeros(0, 3), [], torch.zeros(0), prior=PRIOR, class_posteriors=class_posteriors).shape == (0, 3)
    silent = adapt(torch.ones(2, 3), ["x", "y"], torch.zeros(2), prior=PRIOR, class_posteriors=class_posteriors)
    torch.testing.assert_close(silent, torch.ones(2, 3))
