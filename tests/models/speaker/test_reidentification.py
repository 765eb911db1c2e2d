"""Matches across encoders: a name goes to the one voice that most of its speech became."""

import numpy as np
import pytest

from models.speaker.linking import Identities, Voiceprint
from models.speaker.reidentification import match_across_encoders, matching_speakers

ONES = np.ones(8)


@pytest.mark.parametrize(
    ("found", "before", "names"),
    [
        ("xxyy", "aabb", {"x": "a", "y": "b"}),
        ("xxxy", "aaaa", {"x": "a"}),  # one voice became two: the larger part keeps the name
        ("xxxx", "aaab", {"x": "a"}),  # two voices became one
        ("xxxx", "aabb", {"x": "a"}),  # halves: one of them
        ("xxxxx", "aabbc", {"x": "a"}),  # a voice that the earlier encoder took for three
        ("xxxxyyyy", "abcdabcd", {}),  # no more than half of either
        ("xxxx", "aa..", {"x": "a"}),  # the rest had no speaker
        ("--xx", "aaab", {"x": "b"}),  # hardly any of a is x
        ("xxx", "aa.", {"x": "a"}),
        ("xx", "..", {}),
        ("x--", "aab", {"x": "a"}),  # too short to be told now
        ("", "", {}),
    ],
)
def test_the_new_speaker_with_most_of_the_speech_matches(found, before, names):
    then = [None if name == "." else name for name in before]
    now = [None if name == "-" else name for name in found]
    assert matching_speakers(now, then, ONES[: len(found)]) == names


def test_seconds_count_and_not_utterances():
    assert matching_speakers(["x", "x", "x"], ["a", "b", "b"], np.array([5.0, 1.0, 1.0])) == {"x": "a"}


def test_only_founded_speakers_are_renamed_and_only_to_known_ones():
    voices = [Voiceprint(name, np.ones(2), known=False) for name in ("x", "y", "z")]
    answer = Identities(["x", "y", "z", "old"], np.zeros(4), [False, False, False, True], voices)
    told = match_across_encoders(answer, ["ada", "gone", "spk_1", "ada"], ONES[:4], {"ada": True, "spk_1": False})
    assert told.speaker_ids == ["ada", "y", "spk_1", "old"]
    assert told.known == [True, False, False, True]
    assert [(voice.speaker_id, voice.known) for voice in told.founded] == [
        ("ada", True),
        ("y", False),
        ("spk_1", False),
    ]
    assert answer.speaker_ids == ["x", "y", "z", "old"]
