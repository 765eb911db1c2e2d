"""Times by the container's clock: silence in gaps, and no audio lost whatever the timestamps say."""

import itertools
import re
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.audio_files import KINDS, encoded, read, voice
from hypothesis import given, settings
from hypothesis import strategies as st

from features.decode.clock import MAX_SILENCE_S, Clock
from features.decode.config import AudioConfig
from features.decode.open import open_stream
from features.decode.recording import decode

FRAME_S = 0.02
CLOCKED = ["mp4/aac", "mp4/alac", "mp4/amr_nb", "matroska/aac", "matroska/opus", "matroska/vorbis"]
CLOCKED += ["matroska/pcm_f32le", "asf/wmav2", "flv/aac", "mpegts/aac", "mpeg/mp2"]


def laid(times_s, container="matroska", start_s=0.0, end_s=None):
    """Return where frames of 20 ms come to lie, and what was odd."""
    clock, at, places = Clock(container, start_s, end_s), 0, []
    frames = ((SimpleNamespace(samples=320, sample_rate=16_000), time_s) for time_s in times_s)
    for n_silent, frame in clock.lay(frames):
        at += n_silent
        places.append(at / 16_000)
        at += frame.samples
    return places, clock.flaws


def steady(n, start_s=0.0):
    return [start_s + k * FRAME_S for k in range(n)]


@pytest.mark.parametrize("codec", CLOCKED)
def test_a_pause_is_silence(codec):
    kind = KINDS[codec]
    made = voice(2.0, kind.rate, kind.n_channels)
    _, whole = read(encoded(made, kind))
    _, found = read(encoded(made, kind, pause_s=10.0))
    assert len(found) / kind.rate == pytest.approx(len(whole) / kind.rate + 10, abs=0.07)
    gap = found[round(1.2 * kind.rate) : round(10.8 * kind.rate)]
    assert not gap.any()
    after = slice(round(11.2 * kind.rate), round(11.8 * kind.rate))
    expected = whole[round(1.2 * kind.rate) : round(1.8 * kind.rate)]
    assert np.std(found[after]) == pytest.approx(np.std(expected), rel=0.05)


@pytest.mark.parametrize("codec", ["mp4/aac", "matroska/aac", "matroska/flac", "mpegts/aac", "mpeg/mp2", "asf/wmav2"])
def test_the_sound_of_a_film_begins_when_it_does(codec):
    kind = KINDS[codec]
    made = voice(1.0, kind.rate)
    _, prompt = read(encoded(made, kind, video_s=6.0))
    _, late = read(encoded(made, kind, video_s=6.0, starts_s=4.0))
    assert len(late) / kind.rate == pytest.approx(len(prompt) / kind.rate + 4, abs=0.11)
    assert not late[: round(3.8 * kind.rate)].any()


@pytest.mark.parametrize("codec", ["matroska/aac", "mpegts/aac", "flv/aac", "mp4/aac"])
def test_a_recording_begins_where_its_clock_does(codec):
    """Live recordings begin with the time of the stream, which may be hours."""
    kind = KINDS[codec]
    made = voice(1.0, kind.rate)
    _, prompt = read(encoded(made, kind))
    _, found = read(encoded(made, kind, starts_s=7200.0))
    assert len(found) == pytest.approx(len(prompt), abs=0.07 * kind.rate)  # mp4 keeps the delay


@pytest.mark.parametrize("n_skipped", [1, 20_000, 100_000, 180_000, 10**9])
def test_behind_a_skip_everything_is_the_same_with_a_pause(n_skipped):
    data = encoded(voice(2.0), KINDS["matroska/aac"], pause_s=10.0)
    _, whole = read(data)
    with open_stream(data) as stream:
        stream.skip(n_skipped)
        rest = list(stream.blocks())
    assert np.array_equal(np.concatenate([np.empty((0, 1), np.float32), *rest]), whole[n_skipped:])


def test_a_pause_longer_than_a_block_is_yielded_in_blocks(monkeypatch):
    data = encoded(voice(2.0), KINDS["matroska/aac"], pause_s=10.0)
    monkeypatch.setattr("features.decode.ffmpeg.BLOCK_SAMPLES", 1000)
    with open_stream(data) as stream:
        assert max(len(block) for block in stream.blocks()) == 1000


def test_jitter_delay_and_drift_below_a_tenth_of_a_second_are_no_gap():
    jitter = np.random.default_rng(0).uniform(-0.04, 0.04, 200)
    for times_s in (
        steady(200) + jitter,
        [time_s - 0.0213 for time_s in steady(200)],
        [1.0004 * t for t in steady(200)],
    ):
        places, flaws = laid(times_s)
        assert places == pytest.approx(steady(200))
        assert flaws == []


def test_silence_suppression_keeps_the_clock():
    """WebRTC with DTX: a packet each 400 ms while nobody speaks, and lost packets one by one."""
    times_s = [*steady(50), *np.arange(1.0, 9.0, 0.4), *steady(50, 9.0)]
    places, flaws = laid(times_s)
    assert places == pytest.approx(times_s)
    assert flaws == []
    lossy = [time_s for n, time_s in enumerate(steady(5000)) if n % 50]
    assert laid(lossy)[0] == pytest.approx(lossy, abs=0.1 + FRAME_S)


@pytest.mark.parametrize("wrong_s", [7200.0, -5.0, -1e9, 1e9])
def test_one_wrong_timestamp_moves_nothing(wrong_s):
    times_s = steady(100)
    times_s[40] = wrong_s
    places, flaws = laid(times_s)
    assert places == pytest.approx(steady(100))
    assert len(flaws) == (wrong_s > 0)
    assert not flaws or "after 0.8 s" in flaws[0]


def test_a_clock_that_goes_back_loses_no_audio():
    """A recorder that was started again: the audio goes on, and later pauses are kept."""
    places, flaws = laid([*steady(500), *steady(100), *steady(100, 5.0)])
    assert places[:600] == pytest.approx(steady(600))
    assert places[600:] == pytest.approx(steady(100, 10.0 + 5.0))
    assert flaws == ["the container's clock jumps back by 10.0 s after 10.0 s: audio is laid end to end there"]


def test_a_clock_far_ahead_is_not_followed():
    far_s = MAX_SILENCE_S + 100
    places, flaws = laid([*steady(50), *steady(50, far_s), *steady(50, 2 * far_s)])
    assert places == pytest.approx(steady(150))
    assert "ahead by" in flaws[0]
    assert "1 more jump" in flaws[0]
    places, flaws = laid([*steady(50), *steady(50, 600.0)], end_s=3.0)
    assert places == pytest.approx(steady(100))
    assert flaws
    assert laid([*steady(50), *steady(50, 600.0)], end_s=601.0)[0][50] == pytest.approx(600.0)


@settings(max_examples=100, deadline=None)
@given(
    times_s=st.lists(st.one_of(st.none(), st.floats(-1e12, 1e12), st.floats(0, 30)), max_size=60),
    container=st.sampled_from(["matroska", "mpegts", None]),
    start_s=st.one_of(st.none(), st.floats(-1e9, 1e9)),
    end_s=st.one_of(st.none(), st.floats(-1e9, 1e9)),
)
def test_whatever_the_timestamps_all_frames_are_laid_in_order_with_bounded_silence(times_s, container, start_s, end_s):
    places, _ = laid(times_s, container, start_s, end_s)
    assert len(places) == len(times_s)
    assert all(later - place > FRAME_S - 1e-6 for place, later in itertools.pairwise(places))
    assert not places or places[-1] <= MAX_SILENCE_S + FRAME_S * len(places)


def test_the_clock_of_transport_streams_wraps_around():
    wrap_s = 2**33 / 90_000
    places, flaws = laid([(wrap_s - 0.5 + time_s) % wrap_s for time_s in steady(100)], "mpegts", start_s=wrap_s - 0.5)
    assert places == pytest.approx(steady(100))
    assert laid([wrap_s - 0.021, *steady(99)], "mpegts")[0] == pytest.approx(steady(100))
    assert flaws == []


def test_frames_without_a_time_and_containers_without_a_clock_are_laid_end_to_end():
    assert laid([None] * 50)[0] == laid(steady(50, 3.0), None)[0] == pytest.approx(steady(50))


def test_a_file_with_a_wrong_cluster_time_is_read_and_says_so():
    """A Cluster's Timestamp (E7) of two bytes: one minute ahead, in a file that lasts 12 s."""
    kind = KINDS["matroska/aac"]
    data = encoded(voice(12.0), kind)
    place = data.index(b"\x1f\x43\xb6\x75", data.index(b"\x1f\x43\xb6\x75") + 4)
    at = data.index(b"\xe7\x82", place) + 2
    found = decode(data[:at] + (60_000).to_bytes(2, "big") + data[at + 2 :], config=AudioConfig())
    assert found.seconds == pytest.approx(12.0, abs=0.1)
    assert "clock jumps ahead by" in found.measures.flaw
    assert decode(data).measures.flaw is None


@pytest.mark.parametrize("codec", ["mp4/aac", "mp4/alac", "mp4/pcm_s24be", "mp4/amr_nb"])
def test_what_an_edit_list_leaves_out_is_told(codec):
    """A trimmed voice memo holds what was trimmed; a damaged header looks the same."""
    data = encoded(voice(4.0, KINDS[codec].rate), KINDS[codec])
    at = data.index(b"elst") + 12  # ISO/IEC 14496-12, 8.6.6: the first segment's duration, by the film's clock
    found = decode(data[:at] + (1000).to_bytes(4, "big") + data[at + 4 :])
    assert found.seconds == pytest.approx(1.0, abs=0.1)
    assert re.search(r"an edit list leaves out [23]\.\d s of the sound", found.measures.flaw)
    assert decode(data).measures.flaw is None
