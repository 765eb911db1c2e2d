"""References to other files: playlists and containers that name them are refused, and nothing else is opened."""

import struct

import av
import pytest
import soundfile as sf
from helpers.audio_files import Kind, encoded, likeness, read, verdict, voice

from data_contracts.rejects import Reason
from features.decode import open as streams
from features.decode.stream import Unusable


def secret(tmp_path):
    path = tmp_path / "secret.wav"
    sf.write(path, voice(1.0), 16_000)
    return path


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{path}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{path}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
        "[playlist]\nFile1={path}\n",
        "<?xml version='1.0'?><MPD><Period><AdaptationSet><BaseURL>{path}</BaseURL></AdaptationSet></Period></MPD>",
        "http://127.0.0.1/x.wav",
        "concat:{path}|{path}",
    ],
)
def test_a_playlist_reads_no_other_file(playlist, tmp_path):
    assert verdict(playlist.format(path=secret(tmp_path)).encode()) == Reason.NOT_AUDIO


def test_an_external_reference_is_not_followed(tmp_path):
    """A QuickTime file may say that its samples are in another file (a data reference 'alis' or 'url ')."""
    path = secret(tmp_path)
    mov = encoded(voice(0.5), Kind("mov", "pcm_s16le"))
    at = mov.index(b"dref") - 4
    old_size = struct.unpack_from(">I", mov, at)[0]
    url = f"file://{path}".encode() + b"\0"
    entry = struct.pack(">I4sI", 12 + len(url), b"url ", 0) + url
    dref = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    out = bytearray(mov[:at] + dref + mov[at + old_size :])
    grown = len(dref) - old_size
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        where = out.index(name) - 4
        struct.pack_into(">I", out, where, struct.unpack_from(">I", out, where)[0] + grown)
    try:
        _, found = read(bytes(out))
    except Unusable:
        return
    assert likeness(found[:, 0], voice(1.0)[:, 0], 16_000)[0] < 0.5 or len(found) == 8000  # its own bytes, at most


def test_what_a_container_refers_to_is_refused():
    """FFmpeg asks for another file through this alone."""
    from features.decode import ffmpeg

    with pytest.raises(OSError, match="refers to another"):
        ffmpeg._refuse_open("file:///etc/passwd", 1, {})
    with av.open(streams.__file__, format="data"):  # it does open files, where it is let
        pass
