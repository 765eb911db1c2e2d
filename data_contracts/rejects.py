"""Rejects of recordings, with the vocabularies of reasons for a reject, a missing emotion and a missing speaker."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Cause of a reject, in one word; the decoder's or the store's own message is in `Reject.error`."""

    EMPTY = "empty"  # no bytes, or a container without one sample
    NOT_AUDIO = "not_audio"  # the content is no audio format, whatever the name says
    TRUNCATED = "truncated"  # shorter than its own header says
    CORRUPT = "corrupt"  # an audio format that does not decode
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NO_SPEECH = "no_speech"  # sound, but no speech was found
    SILENT = "silent"
    UNSUPPORTED = "unsupported"  # audio, but a codec or layout that we do not read
    UNREADABLE = "unreadable"  # the store failed, again and again
    VANISHED = "vanished"  # listed, and gone (or another) when it was read
    ACCESS_DENIED = "access_denied"
    ARCHIVED = "archived"  # in Glacier or the like, to be restored before it can be read
    LOOP = "loop"  # a link that leads to itself
    NON_FINITE = "non_finite"  # NaN or infinite samples


RETRYABLE = frozenset({Reason.UNREADABLE, Reason.VANISHED, Reason.ACCESS_DENIED, Reason.ARCHIVED, Reason.LOOP})
"""Reasons that may pass by the next night: the following runs read such a file again by themselves."""

MAX_TRIES = 3
"""Attempts that fail for one and the same reason before a content is skipped until it changes.

Except ARCHIVED: a restored object is the same content, whenever that is, and the attempt is one refused request.
"""


@dataclass(frozen=True)
class Reject:
    """Result of a file that cannot be used: the reason, and the properties read before it was found."""

    reason: Reason
    error: str  # one line: what was expected, what was found
    codec: str | None = None
    sample_rate_hz: int | None = None
    n_channels: int | None = None
    seconds: float | None = None


class UnscoredReason(StrEnum):
    """Reason for an utterance without an emotion."""

    TOO_LITTLE_SPEECH = "too_little_speech"  # hardly any voiced sound
    NO_CLASSES = "no_classes"  # the model predicts dimensions only


class UnidentifiedReason(StrEnum):
    """Reason for an utterance without a speaker."""

    TOO_LITTLE_SPEECH = "too_little_speech"  # like no speaker that is known, and too short to be a new one
