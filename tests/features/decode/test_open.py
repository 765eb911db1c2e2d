"""Choice of the decoder, and the agreement of both decoders."""

import io
import struct

import numpy as np
import pytest
import soundfile as sf
from helpers.audio_files import FAST, KINDS, encoded, likeness, read, verdict, voice, written

from data_contracts.rejects import Reason
from features.containers import allowed, sniff
from features.containers.content import map_file
from features.decode import ffmpeg, sndfile
from features.decode.open import open_stream
from features.decode.stream import Header, Unusable

RATE = 16_000
EXACT = {"wav/pcm_16", "wav/pcm_24", "wav/float", "wav/double", "flac", "caf/pcm_16", "aiff/pcm_16", "caf/alac_16"}


@pytest.mark.parametrize("codec", FAST)
def test_the_fast_path_reads_it(codec):
    made = voice(1.0)
    with open_stream(written(made, codec)) as stream:
        assert isinstance(stream, sndfile.SndfileStream)
    header, found = read(written(made, codec))
    assert (header.codec, header.n_channels) == (codec, 1)
    assert header.sample_rate_hz == (pytest.approx(RATE, rel=0.01) if "voc" in codec else RATE)  # a divisor of 1 MHz
    assert len(found) == pytest.approx(RATE, abs=0.07 * RATE)
    assert likeness(found[:, 0], made[:, 0], RATE) == (pytest.approx(1, abs=0.03), pytest.approx(0, abs=0.001))
    if codec in EXACT:
        assert found == pytest.approx(made, abs=2**-15)


@pytest.mark.parametrize("n_channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8000, 44_100, 192_000])
@pytest.mark.parametrize("codec", ["wav/pcm_16", "wav/pcm_24", "flac", "aiff/pcm_16", "caf/pcm_16"])
def test_rates_and_channels(codec, rate, n_channels):
    made = voice(0.2, rate, n_channels)
    header, found = read(written(made, codec, rate))
    assert (header.sample_rate_hz, header.n_channels) == (rate, n_channels)
    assert found == pytest.approx(made, abs=2**-15)


DEMUXERS = allowed.DEMUXERS | {"flac": "flac", "mp3": "mp3", "nist": "nistsphere"}


@pytest.mark.parametrize("codec", [codec for codec in FAST if codec not in {"voc/pcm_u8", "ogg/opus"}])
def test_both_decoders_agree(codec, monkeypatch):
    monkeypatch.setattr("features.containers.allowed.DEMUXERS", DEMUXERS)
    data = written(voice(1.0), codec)
    _, fast = read(data)
    with ffmpeg.open_stream(data, sniff.sniff(data)) as stream:
        slow = np.concatenate(list(stream.blocks()))
    n = min(len(fast), len(slow))
    assert n > 0.93 * RATE
    correlation, delay_s = likeness(slow[:, 0], fast[:, 0], RATE)
    assert correlation > 0.999
    if codec != "mp3":  # FFmpeg leaves out less of its delay where the Info frame is libsndfile's
        assert delay_s == 0
        assert slow[:n] == pytest.approx(fast[:n], abs=5e-3 if "adpcm" in codec else 1e-3)  # they round otherwise


@pytest.mark.parametrize("codec", ["wav/ac3", "wav/wmav2", "wav/adpcm_g722", "au/adpcm_g722", "ogg/flac"])
def test_ffmpeg_is_asked_where_libsndfile_lacks_the_codec(codec):
    data = encoded(voice(1.0, KINDS[codec].rate), KINDS[codec])
    with pytest.raises(Unusable), sndfile.open_stream(data, sniff.sniff(data)):
        pass
    with open_stream(data) as stream:
        assert isinstance(stream, ffmpeg.FfmpegStream)


def test_a_file_that_neither_decoder_reads_is_unsupported():
    wav = bytearray(written(voice(0.5), "wav/pcm_16"))
    wav[20:22] = struct.pack("<H", 0x7777)
    assert verdict(bytes(wav)) == Reason.UNSUPPORTED


def test_of_a_flac_ffmpeg_is_not_asked():
    """It conceals what libsndfile reports."""
    data = bytearray(written(voice(0.5), "flac"))
    data[8:42] = bytes(34)  # no rate, no channels
    with pytest.raises(Unusable, match="flac"):
        read(bytes(data))


def test_an_error_of_the_reader_is_no_reason_to_open_it_again():
    data = written(voice(0.5), "wav/pcm_16")
    with pytest.raises(Unusable, match="mine"), open_stream(data):
        raise Unusable(Reason.UNSUPPORTED, "mine")


@pytest.mark.parametrize("codec", ["mp4/aac", "matroska/opus", "wav/pcm_16", "mp3", "flac", "amr/amr_nb"])
def test_a_mapped_file_reads_as_its_bytes(codec, tmp_path):
    made = voice(1.0, KINDS[codec].rate if codec in KINDS else RATE)
    data = written(made, codec) if codec in FAST else encoded(made, KINDS[codec])
    path = tmp_path / "wrong.txt"
    path.write_bytes(data)
    header, whole = read(data)
    with map_file(path) as content, open_stream(content) as stream:
        assert stream.header == header
        assert np.array_equal(np.concatenate(list(stream.blocks())), whole)


def test_libsndfile_is_asked_for_what_the_header_promises_and_a_little(monkeypatch):
    """It clears as much memory as it is asked for, and the files are many and short."""
    asked, read = [], sndfile._ForwardOnlyFile.read
    monkeypatch.setattr(
        sndfile._ForwardOnlyFile, "read", lambda file, n, **how: asked.append(n) or read(file, n, **how)
    )
    with open_stream(written(voice(0.5), "wav/pcm_16")) as stream:
        blocks = list(stream.blocks())
    assert [len(block) for block in blocks] == [8_000]
    assert asked == [8_000, sndfile._SALVAGE_FRAMES]


def test_header_of_a_tagged_flac():
    sink = io.BytesIO()
    with sf.SoundFile(sink, "w", RATE, 1, "PCM_16", format="FLAC") as file:
        file.title = "Budget"
        file.write(voice(1.0))
    header, _ = read(sink.getvalue())
    n_bytes, bit_rate_bps = len(sink.getvalue()), header.bit_rate_bps
    assert header == Header(
        "flac", "flac", RATE, 1, n_promised=RATE, n_bytes=n_bytes, bit_rate_bps=bit_rate_bps, tags=("title",)
    )
    assert header.bit_rate_bps == pytest.approx(8 * len(sink.getvalue()), rel=0.01)


@pytest.mark.parametrize("header", [b"#!AMR\n", b"#!AMR-WB\n"])
def test_an_empty_file(header):
    assert verdict(b"") == Reason.EMPTY
    assert verdict(header) == Reason.EMPTY


def test_a_damaged_table_of_packets_is_noticed():
    """libsndfile counts the packets up to the first of size 0, and takes that for the length."""
    data = written(voice(2.0), "caf/alac_16")
    at = data.index(b"pakt") + 36 + 4  # CAF 1.0: the chunk's header, the table's own, the third packet's size
    assert verdict(data) is None
    assert verdict(data[:at] + bytes(2) + data[at + 2 :]) == Reason.TRUNCATED
