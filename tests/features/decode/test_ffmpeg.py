"""Formats of FFmpeg: samples and lengths are those that were encoded."""

import dataclasses
import re
import struct

import av
import numpy as np
import pytest
import soxr
from helpers.audio_files import KINDS, Kind, dsf, encoded, likeness, read, verdict, voice

from data_contracts.rejects import Reason
from features.decode.open import open_stream
from features.decode.recording import decode
from features.decode.stream import Unusable

LOSSLESS = {"alac", "flac", "tta", "wavpack", "pcm_s24be", "pcm_f64be", "pcm_f32le", "pcm_s16le"}


def bands(samples, rate):
    """(time, bands) log energies below 4 kHz, 20 ms each: what a speech coder keeps while it bends the phases."""
    n = rate // 50
    frames = samples[: len(samples) // n * n].reshape(-1, n) * np.hanning(n)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    return np.log(np.stack([part.sum(axis=1) for part in np.array_split(power[:, 2:70], 17, axis=1)], axis=1) + 1e-4)


@pytest.mark.parametrize("codec", KINDS)
def test_decoded_samples_are_those_encoded(codec):
    kind = KINDS[codec]
    made = voice(2.0, kind.rate, kind.n_channels)
    header, found = read(encoded(made, kind))
    assert (header.codec, header.sample_rate_hz, header.n_channels) == (codec, kind.rate, kind.n_channels)
    assert header.container == codec.partition("/")[0]
    assert header.gap is None
    assert found.dtype == np.float32
    assert min(kind.delay_s, 0) - 0.001 <= len(found) / kind.rate - 2.0 <= kind.padding_s
    assert header.n_promised is None or len(made) - 0.26 * kind.rate <= header.n_promised <= len(found)
    for channel in range(kind.n_channels):
        correlation, delay_s = likeness(found[:, channel], made[:, channel], kind.rate)
        assert correlation > kind.correlation
        assert delay_s == pytest.approx(kind.delay_s, abs=0.0015)
    if codec.rpartition("/")[2] in LOSSLESS:
        assert found[:, 0] == pytest.approx(made[:, 0], abs=2**-15)


@pytest.mark.parametrize(
    ("codec", "n_channels"),
    [*((codec, n) for codec in ("mp4/aac", "matroska/flac", "wavpack") for n in (1, 2, 6, 8)), ("mp4/alac", 6)],
)
def test_channels_keep_their_order(codec, n_channels):
    """PyAV 18.1 counts nine of eight planes, and reads memory that is not the frame's."""
    kind = dataclasses.replace(KINDS[codec], rate=48_000, bit_rate=80_000 * n_channels)
    made = voice(0.5, 48_000, n_channels)
    if codec == "mp4/aac" and n_channels > 2:
        made[:, 3] = voice(0.5, 48_000)[:, 0] / 2  # a low-frequency channel holds but the lowest
    header, found = read(encoded(made, kind))
    assert header.n_channels == n_channels
    for channel in range(n_channels):
        if codec != "mp4/aac" or channel != 3:
            assert likeness(found[:, channel], made[:, channel], 48_000)[0] > 0.98
            assert found[:, channel].std() == pytest.approx(made[:, channel].std(), rel=0.1)


@pytest.mark.parametrize(
    ("encoder", "sample_format", "tolerance"),
    [("pcm_u8", "u8", 2**-7), ("pcm_s16be", "s16", 2**-15), ("pcm_s32be", "s32", 2**-23), ("pcm_f32be", "flt", 0)],
)
def test_full_scale_is_one(encoder, sample_format, tolerance):
    muxer = "matroska" if encoder == "pcm_u8" else "mov"
    ramp = np.linspace(-1, 0.99, 16_000, dtype=np.float32)[:, None]
    _, found = read(encoded(ramp, Kind(muxer, encoder, sample_format=sample_format)))
    assert found == pytest.approx(ramp, abs=tolerance)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 96_000, 192_000])
@pytest.mark.parametrize(("muxer", "encoder"), [("ipod", "alac"), ("matroska", "flac")])
def test_rates(muxer, encoder, rate):
    made = voice(0.5, rate)
    header, found = read(encoded(made, Kind(muxer, encoder, rate)))
    assert header.sample_rate_hz == rate
    assert found == pytest.approx(made, abs=2**-15)


def test_dsd():
    """One bit at 2.8 MHz comes as 24 bits at an eighth of it, before the low-pass that a reader adds."""
    made = voice(0.1, 44_100)
    header, found = read(dsf(made[:, 0]))
    assert (header.codec, header.sample_rate_hz) == ("dsf/dsd_lsbf_planar", 352_800)
    low = soxr.resample(found[:, 0], 352_800, 44_100)
    assert likeness(low[: len(made)], made[:, 0], 44_100)[0] > 0.95


def test_blocks_are_bounded_and_leave_no_seams(monkeypatch):
    data = encoded(voice(1.0, n_channels=2), KINDS["mp4/aac"])
    _, whole = read(data)
    monkeypatch.setattr("features.decode.ffmpeg.BLOCK_SAMPLES", 1000)
    with open_stream(data) as stream:
        blocks = list(stream.blocks())
    assert {len(block) for block in blocks[:-1]} == {500}
    assert 0 < len(blocks[-1]) <= 500
    assert np.array_equal(np.concatenate(blocks), whole)


@pytest.mark.parametrize("codec", ["mp4/aac", "amr/amr_nb", "matroska/opus", "asf/wmav2", "wav/adpcm_g722"])
@pytest.mark.parametrize("n_skipped", [0, 1, 1024, 5000, 10**9])
def test_behind_a_skip_everything_is_the_same(codec, n_skipped):
    data = encoded(voice(1.0, KINDS[codec].rate), KINDS[codec])
    _, whole = read(data)
    with open_stream(data) as stream:
        stream.skip(n_skipped)
        rest = list(stream.blocks())
    assert np.array_equal(np.concatenate([np.empty((0, 1), np.float32), *rest]), whole[n_skipped:])


@pytest.mark.parametrize("container", ["mp4", "matroska", "mov", "avi"])
def test_of_a_video_the_sound(container):
    kind = Kind(container, "aac" if container != "avi" else "ac3", 48_000)
    made = voice(1.0, 48_000)
    data = encoded(made, kind, video_s=3.0)
    header, found = read(data)
    assert len(found) / 48_000 == pytest.approx(1.0, abs=0.05)
    assert likeness(found[:, 0], made[:, 0], 48_000)[0] > 0.98
    assert header.n_promised is None or header.n_promised <= len(found)  # the sound's, not the picture's


@pytest.mark.parametrize("when", [{"starts_s": 1.0}, {"starts_s": 1.0, "video_s": 4.0}, {"pause_s": 1.0}])
@pytest.mark.parametrize("codec", ["mp4/aac", "mp4/alac", "matroska/aac", "matroska/flac", "asf/wmav2", "avi/mp3"])
def test_sound_that_begins_late_or_pauses_is_whole(codec, when):
    """Calls are muted and cameras warm up: the file lasts longer than its sound, and was once taken for truncated."""
    data = encoded(voice(2.0), KINDS[codec], **when)
    assert verdict(data) is None
    silence_s = 1.0 if ("pause_s" in when or "video_s" in when) and codec != "avi/mp3" else 0.0  # avi has no clock
    assert len(read(data)[1]) / 16_000 == pytest.approx(2.0 + silence_s, abs=0.12)


def test_a_video_without_sound_is_unsupported():
    import io

    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as file:
        video = file.add_stream("mpeg4", rate=10)
        video.width = video.height = 32
        file.mux(video.encode(av.VideoFrame(32, 32, "yuv420p")))
        file.mux(video.encode(None))
    with (
        pytest.raises(Unusable, match="expected an audio track, found video only") as raised,
        open_stream(sink.getvalue()),
    ):
        pass
    assert raised.value.reason == Reason.UNSUPPORTED


def test_the_second_track_is_read_where_it_is_the_default():
    """A recorder of meetings may put the room first and mark the speaker."""
    import io

    sink = io.BytesIO()
    with av.open(sink, "w", format="matroska") as file:
        tracks = [file.add_stream("flac", rate=16_000, layout="mono") for _ in range(2)]
        tracks[0].disposition = 0
        tracks[1].disposition = av.stream.Disposition.default
        for n, track in enumerate(tracks):
            samples = np.full((1, 16_000), 8000 * (n + 1), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 0
            file.mux(track.encode(frame))
            file.mux(track.encode(None))
    _, found = read(sink.getvalue())
    assert found.mean() == pytest.approx(16_000 / 32_768)


def test_tags_are_named_and_what_programs_write_is_not():
    tags = {"title": "Budget", "artist": "Ada", "comment": "", "encoder": "x", "creation_time": "2026-01-01T00:00:00Z"}
    for kind in ("mp4/aac", "matroska/opus", "asf/wmav2"):
        header, _ = read(encoded(voice(0.2, KINDS[kind].rate), KINDS[kind], tags=tags))
        assert header.tags == ("artist", "title")


def test_bit_rate():
    for codec, bit_rate_bps in {"mp4/alac": None, "asf/wmav2": 32_000, "amr/amr_nb": 12_400, "ac3": 96_000}.items():
        header, found = read(data := encoded(voice(2.0, KINDS[codec].rate), KINDS[codec]))
        expected = bit_rate_bps or 8 * len(data) * header.sample_rate_hz / len(found)
        assert header.bit_rate_bps == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("codec", "rate", "n_channels"), [("loas/aac_latm", 16_000, 1), ("mpegts/aac", 48_000, 2)])
def test_another_format_on_the_way_is_read_at_the_first(codec, rate, n_channels):
    """Two streams without a header between them: at its own rate, the second would play at the wrong speed."""
    kind = dataclasses.replace(KINDS[codec], rate=rate)
    other = dataclasses.replace(kind, rate=32_000)
    first, second = encoded(voice(1.0, rate, n_channels), kind), encoded(voice(1.5, 32_000), other)
    header, samples = read(first + second)
    assert (header.sample_rate_hz, header.n_channels) == (rate, n_channels)
    assert len(samples) / rate == pytest.approx(2.5, abs=0.25)
    whole = voice(1.5, rate)[:, 0]
    for channel in range(n_channels):
        assert likeness(samples[-len(whole) - rate // 10 :, channel], whole, rate)[0] > 0.98
    with open_stream(first + second) as stream:
        stream.skip(rate + 1234)
        assert np.array_equal(np.concatenate(list(stream.blocks())), samples[rate + 1234 :])


def test_a_stream_joined_in_the_middle_is_read():
    """Broadcasts and segments begin anywhere; their first packets may lack a past."""
    data = encoded(voice(2.0), KINDS["aac"])
    _, whole = read(data)
    _, found = read(data[len(data) // 3 :])
    assert 0.55 * len(whole) < len(found) < 0.7 * len(whole)


def test_what_does_not_decode_at_the_beginning_is_told():
    """A damaged beginning is one packet for FFmpeg, up to the next whole frame that it finds."""
    data = encoded(voice(2.0), KINDS["aac"])
    found = decode(data[:200] + b"\x55" * 2000 + data[2200:])
    assert re.match(r"the first \d+ bytes of sound do not decode", found.measures.flaw)
    assert found.seconds < 1.9


HOLED = ["mp4/aac", "mp4/alac", "aac", "loas/aac_latm", "matroska/aac", "flv/aac", "ac3", "wav/ac3", "realmedia/ac3"]


@pytest.mark.parametrize("codec", HOLED)  # of MPEG-TS FFmpeg leaves out what is lost, and says nothing
def test_a_hole_is_corrupt(codec):
    data = bytearray(encoded(voice(2.0, KINDS[codec].rate), KINDS[codec]))
    data[len(data) // 2 : len(data) // 2 + 400] = b"\x55" * 400
    assert verdict(bytes(data)) == Reason.CORRUPT


@pytest.mark.parametrize("codec", ["ac3", "eac3", "wavpack", "tta", "ogg/flac", "matroska/flac"])
def test_a_changed_bit_fails_the_checksum(codec):
    """FFmpeg conceals it unless it is told to report it."""
    data = bytearray(encoded(voice(2.0, KINDS[codec].rate), KINDS[codec]))
    data[len(data) // 2] ^= 0x10
    assert verdict(bytes(data)) == Reason.CORRUPT


def test_encrypted_sound_is_unsupported():
    data = encoded(voice(0.5), KINDS["mp4/aac"])
    assert verdict(data.replace(b"mp4a", b"enca")) == Reason.UNSUPPORTED
    assert verdict(data.replace(b"mp4a", b"drms")) == Reason.UNSUPPORTED
    wma = encoded(voice(0.5), KINDS["asf/wmav2"])
    encryption = bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e") + struct.pack("<Q4I", 40, 0, 0, 0, 0)
    size, n_objects = struct.unpack_from("<QI", wma, 16)
    header = wma[:16] + struct.pack("<QI", size + 40, n_objects + 1) + wma[28:30]
    assert verdict(header + wma[30:size] + encryption + wma[size:]) == Reason.UNSUPPORTED


def test_no_decoder_but_those_listed_is_asked(monkeypatch):
    monkeypatch.setattr("features.containers.allowed.DECODERS", ("flac",))
    data = encoded(voice(0.5), KINDS["matroska/aac"])
    with pytest.raises(Unusable, match="found aac in matroska") as raised, open_stream(data):
        pass
    assert raised.value.reason == Reason.UNSUPPORTED


def test_more_channels_than_speech_has_are_unsupported():
    n = 5000  # libsndfile takes 1024
    form = struct.pack("<HHIIHH", 1, n, 16_000, 32_000 * n, 2 * n, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", 80_000) + bytes(80_000)
    assert verdict(b"RIFF" + struct.pack("<I", len(chunks)) + chunks) == Reason.UNSUPPORTED


SPEECH = ["mp4/aac", "mp4/amr_nb", "amr/amr_nb", "matroska/opus", "matroska/vorbis", "asf/wmav2", "mpegts/aac", "ac3"]
SPEECH += ["avi/mp3", "wav/adpcm_g726", "wav/adpcm_g722", "realmedia/ra_144", "mp2", "wav/adpcm_yamaha"]


@pytest.mark.corpora
@pytest.mark.parametrize("codec", SPEECH)
def test_real_speech_keeps_its_shape(codec, speech):
    kind = dataclasses.replace(KINDS[codec], bit_rate=KINDS[codec].bit_rate or 64_000)
    for clip in speech[:4]:
        made = clip.numpy() if kind.rate == 16_000 else soxr.resample(clip.numpy(), 16_000, kind.rate)
        _, found = read(encoded(np.repeat(made[:, None], kind.n_channels, axis=1), kind))
        correlation, delay_s = likeness(found[:, 0], made, kind.rate)
        if "amr" in codec or "ra_144" in codec:  # they model the spectrum and bend the phases
            lag = round(delay_s * kind.rate)
            found, made = found[max(lag, 0) :, 0], made[max(-lag, 0) :]
            n = min(len(found), len(made))
            correlation = np.corrcoef(bands(found[:n], kind.rate).ravel(), bands(made[:n], kind.rate).ravel())[0, 1]
        assert correlation > (0.93 if "ra_144" in codec else 0.95)
