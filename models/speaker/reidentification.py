"""Under another encoder voices are found anew: whose are they, by what was published of the same utterances?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from models.speaker.linking import Identities, Voiceprint


def matching_speakers(
    found: Sequence[str],  # (n,) who an utterance's voice is under the new encoder
    before: Sequence[str | None],  # (n,) who it was published as under another; None where it was not
    seconds: np.ndarray,  # (n,) speech
) -> dict[str, str]:
    """Found speakers by the earlier speaker whose name they carry on, one to one.

    A found speaker carries on the earlier one that more than half of its speech was published as; of several that would
    carry on the same one, the one with the most of that speech does.
    """
    speech_s: dict[str, float] = {}
    shared_s: dict[tuple[str, str], float] = {}
    for now, then, length in zip(found, before, seconds, strict=True):
        speech_s[now] = speech_s.get(now, 0.0) + float(length)
        if then is not None:
            shared_s[now, then] = shared_s.get((now, then), 0.0) + float(length)
    carried: dict[str, str] = {}
    for (now, then), length in sorted(shared_s.items(), key=lambda item: (-item[1], item[0])):
        if length > speech_s[now] / 2 and then not in carried.values():
            carried[now] = then
    return carried


def match_across_encoders(
    answer: Identities,
    before: Sequence[str | None],  # (n,) who each utterance was published as
    seconds: np.ndarray,  # (n,) speech
    known: Mapping[str, bool],  # the earlier speakers who may be carried on: whether by name
) -> Identities:
    """The answer, in which speakers that were founded go by the names of the earlier ones whose voices they are."""
    founded = {voice.speaker_id for voice in answer.founded}
    rows = [index for index, name in enumerate(answer.speaker_ids) if name in founded]
    then = [before[index] if before[index] in known else None for index in rows]
    names = matching_speakers([answer.speaker_ids[index] for index in rows], then, np.asarray(seconds)[rows])
    voices = [
        Voiceprint(names[voice.speaker_id], voice.centroid, known[names[voice.speaker_id]])
        if voice.speaker_id in names
        else voice
        for voice in answer.founded
    ]
    return replace(
        answer,
        speaker_ids=[names.get(name, name) for name in answer.speaker_ids],
        known=[
            known[names[name]] if name in names else was
            for name, was in zip(answer.speaker_ids, answer.known, strict=True)
        ],
        founded=voices,
    )
