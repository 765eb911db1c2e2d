"""Speaker linking (stage 4): match voices to the known speakers, and found a speaker for each group of the others.

One reduce step a date, over sets and never in the order in which shards arrive, so that shards, workers and their order
change nothing. A founded speaker keeps the centroid it was founded with, and voices are named once all speakers of the
night are founded: linking a night again gives the same answer.
"""

import hashlib
import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from data_contracts.rejects import UnidentifiedReason
from models.speaker.centring import centred
from models.speaker.decision import Decision
from models.speaker.log_odds import MAX_S
from models.speaker.voices import MAX_CLUSTERED, MIN_VOICE_S, Key, Voice, cluster, join_voices, unit

_COMPARED = 250  # voices at a time with all speakers


@dataclass(frozen=True)
class Voiceprint:
    """Reference voice of a speaker: `centroid` (dim,) L2-normalised; `known` where the speaker has a name.

    `speech_s` is the speech behind the centroid. A speaker has several voiceprints where voices were merged.
    """

    speaker_id: str
    centroid: np.ndarray
    known: bool
    speech_s: float = MAX_S


@dataclass
class Identities:
    """Speakers of utterances, row for row with their keys, and the speakers newly founded.

    Without a speaker there is a reason, and the score is NaN.
    """

    speaker_ids: list[str | None]
    scores: np.ndarray  # (n,) probability that the utterance is its speaker's
    known: list[bool]
    founded: list[Voiceprint] = field(default_factory=list)

    @property
    def reasons(self) -> list[str | None]:
        """Reason of each utterance that has no speaker."""
        return [str(UnidentifiedReason.TOO_LITTLE_SPEECH) if name is None else None for name in self.speaker_ids]


def link_speakers(
    keys: Sequence[Key],
    embeddings: np.ndarray,  # (n, dim) L2-normalised
    seconds: np.ndarray,  # (n,) speech
    speakers: Sequence[Voiceprint],
    *,
    decision: Decision,
    pseudonym_key: str,
    centre: np.ndarray | None = None,  # (dim,), what to subtract from every voice (`night_centre`)
    reserved_names: Collection[str] = (),  # that no new speaker may get
) -> Identities:
    """Assign a speaker to every utterance that can have one.

    Utterances of one recording are first joined into voices: a centroid of several utterances is more reliable than
    one. Voices far from every speaker are clustered over the whole night, and each cluster founds a speaker; then each
    voice takes the nearest speaker, known ones before founded ones. A voice with too little speech founds nobody: it
    takes the nearest speaker if that is near enough, else none. Both clusterings are agglomerative, by the average
    evidence.
    """
    answer = Identities([None] * len(keys), np.full(len(keys), np.nan), [False] * len(keys))
    if not len(keys):
        return answer
    seconds = np.asarray(seconds, np.float64)
    centre = np.zeros(embeddings.shape[1], np.float32) if centre is None else centre
    raw, vectors = centred(embeddings, np.zeros_like(centre)), centred(embeddings, centre)
    voices = join_voices(keys, raw, vectors, seconds, decision)
    gallery = _Gallery(speakers, decision, centre, reserved_names=reserved_names)
    n_before = len(speakers)
    _found_speakers([voice for voice in voices if voice.speech_s >= MIN_VOICE_S], gallery, pseudonym_key)
    founded = gallery.speakers[n_before:]
    gallery.sort()
    for voice in voices:
        place = gallery.nearest(voice)
        if place is None:
            continue
        speaker = gallery.speakers[place]
        cosines = vectors[voice.members] @ gallery.matrix[place]
        evidence = decision.evidence(cosines, seconds[voice.members], speaker.speech_s)
        answer.scores[voice.members] = decision.probability(evidence)
        for index in voice.members:
            answer.speaker_ids[index], answer.known[index] = speaker.speaker_id, speaker.known
    assigned = set(answer.speaker_ids)
    answer.founded = [speaker for speaker in founded if speaker.speaker_id in assigned]
    return answer


def voices_of_recording(
    embeddings: np.ndarray,  # (n, dim)
    seconds: np.ndarray,  # (n,) speech
    decision: Decision,
) -> list[list[int]]:
    """Return the utterances of each voice of one recording, as `link_speakers` joins them; the longest voice first."""
    keys = [("", 0, number) for number in range(len(embeddings))]
    vectors = centred(embeddings, decision.own_centre(embeddings.shape[1]))
    voices = join_voices(keys, vectors, vectors, np.asarray(seconds, np.float64), decision)
    return [voice.members for voice in sorted(voices, key=lambda voice: -voice.speech_s)]


def pseudonym(key: Key, secret: str) -> str:
    """Return a stable name for a voice first heard in this utterance: a keyed hash, which reveals no recording.

    >>> pseudonym(("ab", 0, 1), "k") == pseudonym(("ab", 0, 1), "k") != pseudonym(("ab", 0, 1), "other")
    True
    """
    text = "/".join(map(str, key)).encode()
    return "spk_" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()[:12]


def _found_speakers(voices: list[Voice], gallery: "_Gallery", secret: str) -> None:
    """Found speakers until every voice is near one, so that linking the same voices again founds none.

    Where there are too many voices to cluster at once, later ones are first compared with who the earlier ones founded.
    """
    for start in range(0, len(voices), MAX_CLUSTERED):
        waiting = gallery.strangers(voices[start : start + MAX_CLUSTERED])
        while waiting:
            vectors, seconds = np.stack([voice.centroid for voice in waiting]), _speech_s(waiting)
            groups = cluster(vectors, seconds, gallery.decision, gallery.decision.same_speaker)
            gallery.add([[waiting[row] for row in group] for group in groups], secret)
            remaining = gallery.strangers(waiting)
            if len(remaining) == len(waiting):  # no member is near its cluster's centroid: a speaker each
                gallery.add([[voice] for voice in waiting], secret)
                break
            waiting = remaining


class _Gallery:
    """Voiceprints as one matrix, so that a comparison is one product; `matrix` is centred."""

    def __init__(
        self,
        speakers: Sequence[Voiceprint],
        decision: Decision,
        centre: np.ndarray,
        *,
        reserved_names: Collection[str] = (),
    ) -> None:
        self.decision, self.centre = decision, centre
        self.speakers = list(speakers)
        self.names = {speaker.speaker_id for speaker in speakers} | set(reserved_names)
        self.sort()

    def sort(self) -> None:
        """Sort known speakers first, then by name: the first of two equally near speakers wins."""
        self.speakers.sort(key=lambda speaker: (not speaker.known, speaker.speaker_id, speaker.centroid.tobytes()))
        self._read()

    def strangers(self, voices: list[Voice]) -> list[Voice]:
        """Return the voices that no speaker is near enough to."""
        if not self.speakers or not voices:
            return list(voices)
        found: list[Voice] = []
        for start in range(0, len(voices), _COMPARED):
            part = voices[start : start + _COMPARED]
            cosines = np.stack([voice.centroid for voice in part]) @ self.matrix.T
            evidence = self.decision.evidence(cosines, _speech_s(part)[:, None], self.speech_s)
            near = evidence.max(1) >= self.decision.same_speaker
            found += [voice for voice, is_near in zip(part, near, strict=True) if not is_near]
        return found

    def nearest(self, voice: Voice) -> int | None:
        """Return the place of the most similar known speaker near enough, else of the most similar one.

        A name beats a pseudonym. None for a voice with too little speech that is near nobody.
        """
        if not self.speakers:
            return None
        evidence = self.decision.evidence(self.matrix @ voice.centroid, voice.speech_s, self.speech_s)
        is_near = evidence >= self.decision.same_speaker
        if voice.speech_s < MIN_VOICE_S and not is_near.any():
            return None
        known = np.where(self.known & is_near, evidence, -np.inf)
        return int(np.argmax(known if np.isfinite(known).any() else evidence))

    def add(self, clusters: list[list[Voice]], secret: str) -> None:
        """Add a speaker for each cluster, named by the first utterance."""
        for members in clusters:
            name = self._new_name(members[0].first, secret)
            self.names.add(name)
            seconds = _speech_s(members)
            raw = unit((seconds + 1e-3) @ np.stack([voice.raw for voice in members]))
            self.speakers.append(Voiceprint(name, raw, known=False, speech_s=float(seconds.sum())))
        self._read()

    def _read(self) -> None:
        dim = len(self.centre)
        rows = np.reshape(np.asarray([speaker.centroid for speaker in self.speakers], np.float32), (-1, dim))
        self.matrix = centred(rows, self.centre)
        self.known = np.array([speaker.known for speaker in self.speakers], bool)
        self.speech_s = np.array([speaker.speech_s for speaker in self.speakers], np.float64)

    def _new_name(self, key: Key, secret: str) -> str:
        """Return the pseudonym, or the next free one: other features may put another voice into the same segment."""
        n, name = 0, pseudonym(key, secret)
        while name in self.names:
            n, name = n + 1, pseudonym(key, f"{secret}/{n + 1}")
        return name


def _speech_s(voices: list[Voice]) -> np.ndarray:
    return np.array([voice.speech_s for voice in voices], np.float64)
