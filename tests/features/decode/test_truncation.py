"""A truncated file is kept, and marked, where most of it decodes."""

from functools import cache

import numpy as np
import pytest
from fuzz.mutants import Good, mutant
from fuzz.mutation_run import judge
from helpers.audio_files import KINDS, encoded, voice, written

from data_contracts.errors import UsageError
from data_contracts.rejects import Reason, Reject
from features.decode.config import AudioConfig
from features.decode.recording import Decoded, decode

SECONDS = 2.0
STATED = ["wav/pcm_16", "aiff/pcm_16", "caf/pcm_16", "nist/pcm_16", "flac", "mp3", "matroska/opus", "asf/wmav2"]
"""Formats that say how long they are before their samples."""
UNSTATED = ["ogg/vorbis", "ogg/opus", "amr/amr_nb", "aac", "ac3", "mp2", "eac3"]
"""Formats of frames or pages, of which only a last one that is cut is noticed."""
AT_THE_END = [
    "mp4/aac",
    "mp4/alac",
    "wavpack",
    "tta",
    "flv/aac",
    "mpegts/aac",
    "w64/pcm_16",
    "rf64/pcm_16",
    "au/pcm_16",
]
STRICT = AudioConfig(truncated_share=1.0)


@cache
def made(codec):
    kind = KINDS.get(codec)
    return encoded(voice(SECONDS, kind.rate, kind.n_channels), kind) if kind else written(voice(SECONDS), codec)


@cache
def whole(codec):
    return decode(made(codec))


@pytest.mark.parametrize("codec", [*STATED, *UNSTATED, *AT_THE_END])
def test_one_byte_less_costs_a_frame_at_most(codec):
    """A call that lacks its last frame is a call; it was a reject."""
    found, last = decode(made(codec)[:-1]), whole(codec)
    if codec in {"wavpack", "tta"}:  # the byte is a tag's
        assert found.measures.truncated_s == 0
        assert found.measures.flaw is None
    else:
        assert 0 < found.measures.truncated_s < 1.1
        assert found.measures.flaw
        assert isinstance(decode(made(codec)[:-1], config=STRICT), Reject)
    assert found.seconds + found.measures.truncated_s == pytest.approx(last.seconds, abs=0.3)
    n = len(found.waveform) - 3000
    assert found.waveform[:n] == pytest.approx(last.waveform[:n], abs=2e-3)


@pytest.mark.parametrize("codec", STATED)
@pytest.mark.parametrize("share", [0.35, 0.75])
def test_the_share_of_the_promised_length_decides(codec, share):
    cut = made(codec)[: round(share * len(made(codec)))]
    found = decode(cut)
    if share < 0.5:
        assert (found.reason, " of its length or more, found " in found.error) == (Reason.TRUNCATED, True)
        assert found.seconds < SECONDS / 2
        found = decode(cut, config=AudioConfig(keep_truncated=True))
    assert found.seconds == pytest.approx(share * SECONDS, abs=0.3)
    assert found.measures.truncated_s == pytest.approx((1 - share) * SECONDS, abs=0.3)  # estimated by bytes
    assert isinstance(decode(cut, config=AudioConfig(truncated_share=0.9)), Reject)
    assert decode(cut, config=STRICT).reason == Reason.TRUNCATED


@pytest.mark.parametrize("codec", UNSTATED)
def test_where_no_length_is_promised_a_last_frame_that_is_cut_is_marked(codec):
    data = made(codec)
    for n_bytes in range(2 * len(data) // 3, 2 * len(data) // 3 + 12):
        found, half = decode(data[:n_bytes]), decode(data[:n_bytes], config=STRICT)
        assert isinstance(found, Decoded)
        assert (found.measures.truncated_s > 0) == bool(found.measures.flaw) == isinstance(half, Reject)


@pytest.mark.parametrize("codec", [*STATED, *UNSTATED, *AT_THE_END])
def test_a_whole_file_lacks_nothing(codec):
    assert (whole(codec).measures.truncated_s, whole(codec).measures.flaw) == (0, None)
    assert np.array_equal(decode(made(codec), config=STRICT).waveform, whole(codec).waveform)


def test_a_truncated_file_without_samples_is_a_reject_nevertheless():
    for codec in STATED:
        found = decode(made(codec)[:60], config=AudioConfig(keep_truncated=True))
        assert found.reason in {Reason.TRUNCATED, Reason.EMPTY, Reason.CORRUPT, Reason.TOO_SHORT}


def test_a_share_lies_between_0_and_1():
    with pytest.raises(UsageError, match="truncated_share: expected a share"):
        AudioConfig(truncated_share=1.5)


@pytest.mark.parametrize("codec", [*STATED, *UNSTATED, *AT_THE_END])
def test_no_cut_and_no_tail_loses_audio_without_a_word(codec):
    good = Good(codec, made(codec), ((made(codec), SECONDS),))
    mutants = [mutant(good, whole(codec).seconds, n, seed=3) for n in range(40)]
    for changed in mutants:
        if changed.change in {"cut", "tail"}:
            outcome, words = judge(changed, whole(codec), decode(changed.data))
            assert outcome in {"ok", "flaw", "rejected"}, words
