"""Choice of the decoder for a file's bytes: libsndfile first, which is faster, and FFmpeg for the rest."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from data_contracts.rejects import Reason
from features.containers import allowed, parts, sniff
from features.containers.content import Content, Part
from features.decode.joined import JoinedStream
from features.decode.stream import Stream, Unusable


@contextmanager
def open_stream(content: Content) -> Iterator[Stream]:
    """Open the decoder for a file's bytes, whatever its name. Raises Unusable, and nothing else.

    libsndfile where it knows the container, FFmpeg for the rest and for the codecs that libsndfile does not have.
    Truncation is found by the file's own sizes (see `completeness.measure`), in flac by its last frame, in mp3 by
    its Xing or Info frame. An mp3 without one does not say how long it was: a part of it is a shorter recording.

    A file of several recordings, one after the other, is read as one.
    """
    container, start = sniff.locate(content)
    if container not in sniff.READABLE:
        raise refusal(content, container)
    content = Part(content, start) if start else content
    found = parts.split(content, container)
    if len(found) > 1:
        yield JoinedStream(found, _open_part)
    else:
        with _open_part(found[0], container) as stream:
            yield stream


@contextmanager
def _open_part(content: Content, container: str | None = None) -> Iterator[Stream]:
    start = 0
    if container is None:
        container, start = sniff.locate(content)
    if container not in sniff.READABLE:
        raise refusal(content, container)
    content = Part(content, start) if start else content
    with ExitStack() as stack:
        yield _open(stack, content, container)


def _open(stack: ExitStack, content: Content, container: str) -> Stream:
    from features.decode import ffmpeg, sndfile

    if not sniff.is_libsndfile_container(container):
        return stack.enter_context(ffmpeg.open_stream(content, container))
    try:
        return stack.enter_context(sndfile.open_stream(content, container))
    except Unusable as error:
        if container not in allowed.DEMUXERS or error.reason == Reason.TRUNCATED:
            raise  # FFmpeg would allocate the stated sizes
        first = error
    try:
        return stack.enter_context(ffmpeg.open_stream(content, container))
    except Unusable as error:
        raise (error if error.reason == Reason.UNSUPPORTED else first) from first


def refusal(content: Content, container: str | None) -> Unusable:
    """Return the error of content that no decoder is opened for."""
    expected = "expected audio (wav, flac, mp3, ogg, m4a, webm, amr, wma or another format that FFmpeg decodes)"
    if not len(content):
        return Unusable(Reason.EMPTY, f"{expected}; found 0 bytes")
    if container is None:
        return Unusable(Reason.NOT_AUDIO, f"{expected}; found bytes that begin {content[:8].hex(' ')}")
    return Unusable(Reason.UNSUPPORTED, f"{expected}; found {container}: convert it", container)
