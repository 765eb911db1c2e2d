"""Rejects of recordings, and the reasons that all tables share: of a reject, and of a missing emotion."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """One word a cause; the decoder's or the store's own message goes beside it, in `error`."""

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
    NON_FINITE = "non_finite"  # NaN or infinite samples


RETRYABLE = frozenset({Reason.UNREADABLE, Reason.VANISHED, Reason.ACCESS_DENIED})
"""Reasons that another night may mend: the runs that follow try such a file again by themselves."""

MAX_TRIES = 3
"""What failed so often for one and the same reason is left alone until it changes."""


@dataclass(frozen=True)
class Reject:
    """Why a file cannot be used, with what was learnt before that was clear."""

    reason: Reason
    error: str  # one line: what was expected, what was found
    codec: str | None = None
    sample_rate_hz: int | None = None
    n_channels: int | None = None
    seconds: float | None = None


class UnscoredReason(StrEnum):
    """Why an utterance has no emotion."""

    TOO_LITTLE_SPEECH = "too_little_speech"  # hardly any voiced sound
    NO_CLASSES = "no_classes"  # the model tells dimensions only
