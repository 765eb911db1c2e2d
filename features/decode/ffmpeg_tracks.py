"""Metadata of an FFmpeg container's audio: the track, its length, bit rate and tags."""

from typing import TYPE_CHECKING

from data_contracts.rejects import Reason
from features.containers import allowed
from features.containers.content import Content
from features.decode.stream import Unusable

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.codec import CodecContext
    from av.container import InputContainer

CLOCKLESS = frozenset({"tta", "wavpack", "dsf", "ape", "musepack", "musepack7", "aiff", "caf", "ogg"})
"""Containers without a clock of their own: their length is a count of samples."""

_TRUSTED_LENGTHS = CLOCKLESS | {"mp4", "quicktime"}
_TRUSTED_FILE_LENGTHS = {
    "asf",
    "flv",
    "matroska",
}  # these state the end of the file, which is that of its longest track
_PROTECTED_TAGS = {"enca", "drms", "drmi", "encv"}
_ASF_ENCRYPTION = (  # the Content Encryption objects of the ASF specification, 3.14 and 3.15
    bytes.fromhex("fbb31122 23bd d211 b4b7 00a0c955fc6e".replace(" ", "")),
    bytes.fromhex("14e68a29 2226 174c b935 dae07ee9289c".replace(" ", "")),
)
_WRITTEN_BY_PROGRAMS = {
    *("major_brand", "minor_version", "compatible_brands", "handler_name", "vendor_id", "creation_time", "language"),
    *("encoder", "duration", "bps", "number_of_frames", "number_of_bytes", "source_id", "timecode", "itunsmpb"),
    *("replaygain_track_gain", "replaygain_track_peak", "replaygain_album_gain", "replaygain_album_peak", "itunnorm"),
    *("variant_bitrate", "isvbr", "wmfsdkversion", "wmfsdkneeded", "devicconformancetemplate", "service_name"),
    *("service_provider", "metadatacreator", "canseektoend", "hasvideo", "hasaudio", "audiocodecid", "videocodecid"),
}
_MAX_TAGS, _MAX_NAME = 64, 40
_MIN_EDIT_S = 0.25  # encoders leave out their delay


def choose(container: "InputContainer", content: Content, name: str) -> "AudioStream":
    """Choose the first audio track that the file marks as default, else its first. Raises Unusable."""
    from av.stream import Discard

    audio = list(container.streams.audio)
    if not audio:
        others = sorted({stream.type for stream in container.streams})
        found = f"found {' and '.join(others)} only" if others else "found none"
        raise Unusable(Reason.UNSUPPORTED, f"expected an audio track, {found}", name)
    stream = next((track for track in audio if track.disposition.value & 1), audio[0])
    context = stream.codec_context
    if context is None:
        raise Unusable(Reason.UNSUPPORTED, f"expected a codec that FFmpeg knows, found another in {name}", name)
    if _codec_tag(context) in _PROTECTED_TAGS or (name == "asf" and _is_protected_asf(content)):
        raise Unusable(Reason.UNSUPPORTED, f"expected audio that can be read, found encrypted {name} (DRM)", name)
    if context.codec.name not in allowed.DECODERS:
        found = context.codec.canonical_name
        raise Unusable(Reason.UNSUPPORTED, f"expected a codec that we decode, found {found} in {name}", name)
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    if context.codec.name in allowed.CHECKSUMMED:
        context.options = {"err_detect": "crccheck+explode"}
    context.thread_count = 1
    return stream


def promised_s(container: "InputContainer", stream: "AudioStream", name: str) -> float | None:
    """Return the track's length as the file states it; None where FFmpeg only estimates it from bit rate and size."""
    if name in _TRUSTED_LENGTHS and stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if name not in _TRUSTED_FILE_LENGTHS:
        return None
    tagged = _clock_s(stream.metadata.get("DURATION", ""))  # as mkvmerge and FFmpeg write it for each track
    if tagged is None and len(container.streams) == 1 and container.duration:
        return float(container.duration / 1_000_000)
    return tagged


def promised_end_s(stream: "AudioStream", name: str, seconds: float | None) -> float | None:
    """Return the end of the promised length on the container's clock."""
    if seconds is None or name in _TRUSTED_FILE_LENGTHS or stream.start_time is None or not stream.time_base:
        return seconds
    return seconds + float(stream.start_time * stream.time_base)


def clock_s(container: "InputContainer") -> tuple[float | None, float | None]:
    """Return where the container's clock begins, with the earliest of its tracks, and where it says that it ends."""
    if container.start_time is None:
        return None, None
    start_s = container.start_time / 1_000_000
    return start_s, start_s + container.duration / 1_000_000 if container.duration else None


def describe_edits(stream: "AudioStream", name: str, n_packets: int, n_decoded: int) -> str | None:
    """Return in words what an mp4's edit list leaves out of its sound, from a quarter of a second on."""
    n_read = n_decoded if stream.codec_context.name.startswith("pcm") else n_packets  # as the file counts them
    if name not in {"mp4", "quicktime"} or not 0 < n_read < stream.frames:
        return None
    left_s = n_decoded / stream.codec_context.sample_rate * (stream.frames - n_read) / n_read
    return f"an edit list leaves out {left_s:.1f} s of the sound" if left_s > _MIN_EDIT_S else None


def bit_rate_bps(container: "InputContainer", stream: "AudioStream", n_bytes: int, seconds: float | None) -> int | None:
    """Return the track's own bit rate, else the file's where it has no other track."""
    own = stream.bit_rate
    if own and own > 0:
        return int(own)
    if seconds and len(container.streams) == 1:
        return round(8 * n_bytes / seconds)
    return None


def tags(container: "InputContainer", stream: "AudioStream") -> tuple[str, ...]:
    """Return names of tags that a person may have written, in lower case, sorted; without those that programs write."""
    names = {
        name.lower() for source in (container.metadata, stream.metadata) for name, value in source.items() if value
    }
    by_people = (
        name
        for name in names
        if name not in _WRITTEN_BY_PROGRAMS and not name.startswith(("_statistics", "id3v2_priv"))
    )
    return tuple(sorted(name[:_MAX_NAME] for name in by_people if name.isprintable()))[:_MAX_TAGS]


def _codec_tag(context: "CodecContext") -> str:
    try:
        return str(context.codec_tag)
    except UnicodeDecodeError:  # four bytes that are no letters, as in most wav files
        return ""


def _clock_s(text: str) -> float | None:
    """Parse '00:00:02.064000000' to seconds; None for other texts."""
    parts = text.replace("\0", "").split(":")
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return None
    total = 3600 * hours + 60 * minutes + seconds
    return total if 0 <= total < float("inf") else None


def _is_protected_asf(content: Content) -> bool:
    head = content[:65_536]
    return any(guid in head for guid in _ASF_ENCRYPTION)
