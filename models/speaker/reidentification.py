"""Match speakers across encoders: new speakers take over the names published for the same utterances."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from models.speaker.linking import Identities


def matching_speakers(
    found: Sequence[str | None],  # (n,) speaker of each utterance under the new encoder
    before: Sequence[str | None],  # (n,) speaker published under another encoder; None without one
    seconds: np.ndarray,  # (n,) speech
) -> dict[str, str]:
    """Return the earlier speaker that each new speaker matches, one to one.

    A new speaker matches the earlier one that most of its speech was published as, where that is more than half of the
    speech of either. Of several that match the same one, the one with the most of that speech does.
    """
    speech_s: dict[str, float] = {}
    published_s: dict[str, float] = {}
    shared_s: dict[tuple[str, str], float] = {}
    for now, then, length in zip(found, before, seconds, strict=True):
        if then is not None:
            published_s[then] = published_s.get(then, 0.0) + float(length)
        if now is not None:
            speech_s[now] = speech_s.get(now, 0.0) + float(length)
        if now is not None and then is not None:
            shared_s[now, then] = shared_s.get((now, then), 0.0) + float(length)
    matches: dict[str, str] = {}
    for (now, then), length in sorted(shared_s.items(), key=lambda item: (-item[1], item[0])):
        is_free = now not in matches and then not in matches.values()
        if is_free and length > min(speech_s[now], published_s[then]) / 2:
            matches[now] = then
    return matches


def match_across_encoders(
    answer: Identities,
    before: Sequence[str | None],  # (n,) published speaker of each utterance
    seconds: np.ndarray,  # (n,) speech
    known: Mapping[str, bool],  # earlier speakers that may be matched, and whether they have a name
) -> Identities:
    """Return the identities with newly founded speakers renamed to the earlier speakers that they match."""
    founded = {voice.speaker_id for voice in answer.founded}
    rows = [index for index, name in enumerate(answer.speaker_ids) if name in founded]
    then = [before[index] if before[index] in known else None for index in rows]
    names = matching_speakers([answer.speaker_ids[index] for index in rows], then, np.asarray(seconds)[rows])
    voices = [
        replace(voice, speaker_id=names[voice.speaker_id], known=known[names[voice.speaker_id]])
        if voice.speaker_id in names
        else voice
        for voice in answer.founded
    ]
    return replace(
        answer,
        speaker_ids=[name and names.get(name, name) for name in answer.speaker_ids],
        known=[
            known[names[name]] if name in names else is_known
            for name, is_known in zip(answer.speaker_ids, answer.known, strict=True)
        ],
        founded=voices,
    )
