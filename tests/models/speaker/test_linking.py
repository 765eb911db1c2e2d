"""Speaker linking: independent of order and repetition; known voices are matched, others get a stable name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.speaker.decision import Decision
from models.speaker.linking import Voiceprint, link_speakers, pseudonym
from models.speaker.log_odds import LogOdds

DECISION = Decision(threshold=0.5, slope=10.0, offset=-5.0)
DIM = 16


def _voices(n: int, seed: int = 0) -> np.ndarray:
    """Return (n, DIM) directions that are unlike each other."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(DIM, DIM)))[0][:n].astype(np.float32)


def _utterances(voices: np.ndarray, spread: float = 0.05, seed: int = 1) -> np.ndarray:
    noisy = voices + spread * np.random.default_rng(seed).normal(size=voices.shape)
    return (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)


def _link(keys, embeddings, speakers=(), *, seconds=None, key="k", decision=DECISION):
    seconds = np.full(len(keys), 2.0) if seconds is None else seconds
    return link_speakers(keys, embeddings, seconds, list(speakers), decision=decision, pseudonym_key=key)


def test_a_known_voice_is_found_and_an_unknown_founds_a_speaker():
    anna, ben, nobody = _voices(3)
    enrolled = [Voiceprint("anna", anna, known=True), Voiceprint("ben", ben, known=True)]
    keys = [("r1", 0, 0), ("r2", 0, 0), ("r3", 0, 0)]
    answer = _link(keys, _utterances(np.stack([ben, nobody, anna])), enrolled)
    assert answer.speaker_ids == ["ben", pseudonym(keys[1], "k"), "anna"]
    assert answer.known == [True, False, True]
    assert [speaker.speaker_id for speaker in answer.founded] == [answer.speaker_ids[1]]
    assert not answer.founded[0].known
    assert ((answer.scores > 0.9) & (answer.scores <= 1)).all()


def test_the_found_speaker_is_found_again_the_next_night():
    nobody = _voices(1)
    first = _link([("r1", 0, 0)], _utterances(nobody))
    second = _link([("r2", 0, 0)], _utterances(nobody, seed=2), first.founded)
    assert second.speaker_ids == first.speaker_ids
    assert second.founded == []
    assert second.known == [False]


def test_two_voices_in_a_recording_are_two_speakers():
    a, b = _voices(2)
    keys = [("r", 0, n) for n in range(6)]
    answer = _link(keys, _utterances(np.stack([a, b, a, a, b, b])))
    assert answer.speaker_ids == [pseudonym(keys[n], "k") for n in (0, 1, 0, 0, 1, 1)]
    assert len(answer.founded) == 2


def test_a_doubtful_utterance_is_named_with_the_rest_of_its_voice():
    """On its own it would be below the threshold; beside its recording's others it is not."""
    anna, other = _voices(2)
    doubtful = 0.45 * anna + np.sqrt(1 - 0.45**2) * other
    sure = 0.8 * anna + 0.6 * other
    enrolled = [Voiceprint("anna", anna, known=True)]
    assert _link([("r", 0, 0)], doubtful[None], enrolled).speaker_ids != ["anna"]
    together = _link([("r", 0, 0), ("r", 0, 1)], np.stack([doubtful, sure]), enrolled)
    assert together.speaker_ids == ["anna", "anna"]
    assert together.scores[0] < 0.5 < together.scores[1]


def test_longer_speech_counts_for_more():
    a, b = _voices(2)
    near = np.stack([a, 0.6 * a + 0.8 * b])  # one voice: their cosine is 0.6
    founded = _link([("r", 0, 0), ("r", 0, 1)], near, seconds=np.array([100.0, 0.1])).founded
    assert len(founded) == 1
    assert founded[0].centroid @ a > 0.999


def test_of_two_equal_speakers_the_enrolled_one_is_taken():
    voice = _voices(1)
    speakers = [Voiceprint("spk_0", voice[0], known=False), Voiceprint("zoe", voice[0], known=True)]
    for order in (speakers, speakers[::-1]):
        assert _link([("r", 0, 0)], voice, order).speaker_ids == ["zoe"]


def test_no_utterances_give_no_identities():
    answer = _link([], np.zeros((0, DIM)))
    assert (answer.speaker_ids, answer.known, answer.founded) == ([], [], [])
    assert answer.scores.shape == (0,)


def test_a_pseudonym_tells_nothing_and_depends_on_the_secret():
    key = ("0123456789abcdef" * 2, 0, 1)
    assert pseudonym(key, "one") != pseudonym(key, "other")
    assert pseudonym(key, "one") != pseudonym((key[0], 0, 2), "one")
    assert key[0][:4] not in pseudonym(key, "one")
    voice = _voices(1)
    names = {_link([key], voice, key=secret).speaker_ids[0] for secret in ("one", "other")}
    assert len(names) == 2


def test_a_pseudonym_that_is_taken_is_not_given_to_another_voice():
    """With other features the same segment may hold another voice: two rows of `speakers` had the same key."""
    before, after = _voices(2)
    first = _link([("r", 0, 0)], before[None])
    second = _link([("r", 0, 0)], after[None], first.founded)
    assert len(second.founded) == 1
    assert second.speaker_ids != first.speaker_ids
    third = _link([("r", 0, 0)], after[None], [*first.founded, *second.founded])
    assert third.speaker_ids == second.speaker_ids


def test_a_voice_heard_before_its_nearer_speaker_was_founded_is_named_the_same_the_next_time():
    """B is like A, C is like B and not like A: B once went to A in the first run, and to C in the second."""
    angle = np.radians([0.0, 55.0, 100.0])
    embeddings = np.zeros((3, DIM), np.float32)
    embeddings[:, 0], embeddings[:, 1] = np.cos(angle), np.sin(angle)
    keys = [("a", 0, 0), ("b", 0, 0), ("c", 0, 0)]
    first = _link(keys, embeddings)
    again = _link(keys, embeddings, first.founded)
    assert len(first.founded) == 2
    assert again.speaker_ids == first.speaker_ids == [first.speaker_ids[0], first.speaker_ids[2], first.speaker_ids[2]]


def test_within_a_recording_even_odds_join_across_recordings_the_threshold_does():
    """Few speak in a recording, anybody in a night: the same cosine of 0.6 says one voice here, and two there."""
    strict = Decision(threshold=0.8, slope=10.0, offset=-5.0)
    a, b = _voices(2)
    near = np.stack([a, 0.6 * a + 0.8 * b])
    assert len(_link([("r", 0, 0), ("r", 0, 1)], near, decision=strict).founded) == 1
    assert len(_link([("r", 0, 0), ("s", 0, 0)], near, decision=strict).founded) == 2
    lax, flat = Decision(threshold=0.4, slope=10.0, offset=-5.0), Decision(threshold=0.4, slope=0.0, offset=-5.0)
    for decision in (lax, flat):
        assert decision.same_voice == decision.same_speaker, "never stricter than across"
        near = decision.evidence(np.array([0.39, 0.41]), 1.0, 1.0) > decision.same_speaker
        assert near.tolist() == [False, True]


def test_a_night_is_clustered_before_anybody_is_founded():
    """In order of arrival, the outer of three similar voices founded one speaker, the other outer a second."""
    angle = np.radians([0.0, 80.0, 40.0])
    embeddings = np.zeros((3, DIM), np.float32)
    embeddings[:, 0], embeddings[:, 1] = np.cos(angle), np.sin(angle)
    keys = [("a", 0, 0), ("b", 0, 0), ("c", 0, 0)]
    answer = _link(keys, embeddings, decision=Decision(np.cos(np.radians(62.0)), 10.0, -5.0))
    assert answer.speaker_ids == [pseudonym(keys[0], "k")] * 3
    assert answer.founded[0].centroid @ embeddings[2] == pytest.approx(1.0, abs=1e-4)


def test_a_word_is_no_voice_of_its_own_beside_longer_speech():
    a, b, noise = _voices(3)
    keys = [("r", 0, n) for n in range(3)]
    seconds = np.array([3.0, 0.4, 2.0])
    heard = np.stack([a, 0.2 * a + 0.1 * b + np.sqrt(0.95) * noise, b])
    answer = _link(keys, heard, seconds=seconds)
    assert answer.speaker_ids == [pseudonym(keys[n], "k") for n in (0, 0, 2)]


def test_too_little_speech_founds_nobody():
    voice, other = _voices(2)
    keys = [("a", 0, 0), ("b", 0, 0), ("c", 0, 0)]
    heard = _utterances(np.stack([voice, voice, other]))
    answer = _link(keys, heard, seconds=np.array([0.5, 5.0, 0.5]))
    assert answer.speaker_ids == [pseudonym(keys[1], "k")] * 2 + [None]
    assert answer.reasons == [None, None, "too_little_speech"]
    assert np.isnan(answer.scores).tolist() == [False, False, True]
    assert answer.known == [False] * 3
    assert answer.founded[0].centroid == pytest.approx(heard[1], abs=1e-5)
    assert answer.founded[0].speech_s == 5.0
    nobody = _link(keys, heard, seconds=np.full(3, 0.5))
    assert (nobody.speaker_ids, nobody.founded) == ([None] * 3, [])


def test_words_of_one_recording_are_a_voice_together():
    voice = _voices(1)[0]
    keys = [("a", 0, n) for n in range(4)]
    answer = _link(keys, _utterances(np.stack([voice] * 4)), seconds=np.full(4, 0.5))
    assert answer.speaker_ids == [pseudonym(keys[0], "k")] * 4


def test_more_speech_needs_more_likeness():
    """The same cosine of 0.45 is one voice of two seconds, and two of twenty."""
    log_odds = LogOdds(1.0, (0.0, 20.0, -10.0, 0.0, 0.0))
    a, b = _voices(2)
    near = np.stack([a, 0.45 * a + np.sqrt(1 - 0.45**2) * b])
    decision = Decision(0.5, 10.0, -5.0, log_odds)
    founded = [
        _link([("r", 0, 0), ("s", 0, 0)], near, seconds=np.full(2, s), decision=decision).founded for s in (2, 20)
    ]
    assert list(map(len, founded)) == [1, 2]


def test_a_speaker_may_have_several_voices():
    """Merges leave them: a voice near either centroid is that speaker."""
    a, b, c = _voices(3)
    prints = [Voiceprint("ada", a, known=True), Voiceprint("ada", b, known=True), Voiceprint("spk_0", c, known=False)]
    answer = _link([("r1", 0, 0), ("r2", 0, 0), ("r3", 0, 0)], _utterances(np.stack([b, c, a])), prints)
    assert answer.speaker_ids == ["ada", "spk_0", "ada"]
    assert (answer.scores > 0.9).all()


def test_a_name_of_the_table_is_not_given_again():
    """A merged voice keeps its row: its pseudonym is nobody else's."""
    key, voice = ("r", 0, 0), _voices(1)
    embeddings, seconds = _utterances(voice), np.array([2.0])
    options = {"decision": DECISION, "pseudonym_key": "k"}
    first = link_speakers([key], embeddings, seconds, [], **options).speaker_ids
    second = link_speakers([key], embeddings, seconds, [], reserved_names=first, **options).speaker_ids
    assert first != second


@st.composite
def nights(draw):
    """Draw keys of a few recordings, and embeddings in few dimensions, where every voice is like another."""
    n = draw(st.integers(1, 24))
    keys = [(f"r{draw(st.integers(0, 5))}", 0, segment) for segment in range(n)]
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    embeddings = rng.normal(size=(n, draw(st.sampled_from([2, 3, 8])))).astype(np.float32)
    for index in range(1, n):
        if draw(st.booleans()):  # the very same again
            embeddings[index] = embeddings[index - 1]
    return keys, embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), rng.uniform(0.3, 9.0, n), rng


@given(nights(), st.floats(0.2, 0.9))
@settings(max_examples=60)
def test_the_order_of_the_input_does_not_matter(night, threshold):
    keys, embeddings, seconds, rng = night
    decision = Decision(threshold, 10.0, -5.0)
    one = _link(keys, embeddings, seconds=seconds, decision=decision)
    order = rng.permutation(len(keys))
    other = _link([keys[i] for i in order], embeddings[order], seconds=seconds[order], decision=decision)
    assert [one.speaker_ids[i] for i in order] == other.speaker_ids
    np.testing.assert_allclose(one.scores[order], other.scores, atol=1e-5)
    assert [speaker.speaker_id for speaker in one.founded] == [speaker.speaker_id for speaker in other.founded]


@given(nights(), st.floats(0.2, 0.9))
@settings(max_examples=60)
def test_linking_a_night_again_gives_the_same_answer(night, threshold):
    keys, embeddings, seconds, rng = night
    decision = Decision(threshold, 10.0, -5.0)
    first = _link(keys, embeddings, seconds=seconds, decision=decision)
    remembered = [first.founded[i] for i in rng.permutation(len(first.founded))]
    again = _link(keys, embeddings, remembered, seconds=seconds, decision=decision)
    assert again.speaker_ids == first.speaker_ids
    assert again.founded == []
    np.testing.assert_allclose(again.scores, first.scores, atol=1e-5)
    named = set(first.speaker_ids) - {None}
    assert {speaker.speaker_id for speaker in first.founded} == named  # nobody without an utterance


@pytest.mark.parametrize("n", [1, 64, 200])
def test_a_gallery_of_any_size(n):
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(n, 256)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    keys = [(f"r{i:03}", 0, 0) for i in range(n)]
    answer = _link(keys, embeddings)
    assert len(answer.founded) == len(set(answer.speaker_ids)) == n
    assert _link(keys, embeddings, answer.founded).speaker_ids == answer.speaker_ids


def test_a_probability_is_one_whatever_the_cosine():
    wild = Decision(0.5, 1e6, -3.0)
    evidence = wild.evidence(np.array([-1.0, 0.0, 1.0]), 1.0, 1.0)
    assert wild.probability(evidence) == pytest.approx([0.0, 1 / (1 + np.exp(3.0)), 1.0])
