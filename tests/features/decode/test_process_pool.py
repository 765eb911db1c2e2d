"""Decoding in another process: the same samples, and rejects for files that hang or crash their decoder."""

import io
import os
import time

import numpy as np
import pytest
import soundfile as sf

from data_contracts.errors import UsageError
from data_contracts.rejects import Reason, Reject
from features.decode import process_pool
from features.decode.config import AudioConfig
from features.decode.recording import Decoded, decode
from features.resources import Resources

RATE = 16_000
QUICK = Resources(decode_timeout_s=3)
HASTY = Resources(decode_timeout_s=1)


def _wav(seconds: float = 1.0, n_channels: int = 1) -> bytes:
    sink = io.BytesIO()
    samples = 0.1 * np.random.default_rng(0).standard_normal((round(seconds * RATE), n_channels))
    sf.write(sink, samples, RATE, format="WAV", subtype="PCM_16")
    return sink.getvalue()


@pytest.mark.parametrize("config", [AudioConfig(), AudioConfig(channels="each", level_lufs=-20.0)], ids=str)
def test_samples_equal_those_of_decoding_here(config, tmp_path):
    data = _wav(40.0, 2)
    (tmp_path / "a b.wav").write_bytes(data)
    here = decode(data, config=config)
    for content in (data, tmp_path / "a b.wav"):
        there = process_pool.decode(content, config=config)
        assert isinstance(there, Decoded)
        assert there.measures == here.measures
        for channel, waveform in here.waveforms.items():
            assert np.array_equal(there.waveforms[channel], waveform)


def test_rejects_equal_those_of_decoding_here():
    for data in (b"", b"Dear Sir", _wav()[:500]):
        assert process_pool.decode(data) == decode(data)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("time.sleep(60)", "no sample came for 1 s"),
        ("ctypes.CDLL(None).usleep(60_000_000)", "no sample came for 1 s"),
        ("bytearray(64 << 30)", "asks for more memory"),
        ("raise KeyError('x')", "please report"),
        ("os._exit(3)", "ended with 3"),
    ],
)
def test_a_hostile_file_is_a_reject_and_the_next_one_decodes(evil_files, body, says):
    """The alarm goes off in C code too, which holds the interpreter."""
    evil_files(body)
    found = process_pool.decode(b"EVIL", resources=HASTY if "sleep" in body else QUICK)
    assert isinstance(found, Reject)
    assert found.reason is Reason.CORRUPT
    assert says in found.error
    assert isinstance(process_pool.decode(_wav(), resources=QUICK), Decoded)


def test_a_slow_listener_is_no_hanging_decoder():
    items = process_pool.decode_windows(_wav(100.0), config=AudioConfig(), resources=QUICK)
    next(items)
    time.sleep(3.5)
    assert not any(isinstance(item, Reject) for item in items)


@pytest.mark.parametrize("config", [AudioConfig(), AudioConfig(level_lufs=-20.0)], ids=["skip", "level"])
def test_many_blocks_may_take_longer_than_one(evil_files, monkeypatch, config):
    """Skipping to a range, and a first pass for loudness, give no window for minutes: the limit is for a block."""
    evil_files(
        """
            class Slow:
                def __init__(self, stream):
                    self.stream, self.header, self.flaws = stream, stream.header, []

                def blocks(self):
                    for block in self.stream.blocks():
                        for at in range(0, len(block), 16_000):
                            time.sleep(0.4)
                            yield block[at : at + 16_000]

                def skip(self, n_frames, tick):
                    for _ in range(7):
                        time.sleep(0.4)
                        tick()
                    self.stream.skip(n_frames, tick)

            with real(content[4:]) as stream:
                yield Slow(stream)
            return"""
    )
    monkeypatch.setattr(process_pool, "_GRACE_S", 0.0)
    seconds, only = (34.0, (1, 2)) if config.level_lufs is None else (7.0, process_pool.WHOLE_RECORDING)
    resources = Resources(decode_timeout_s=2)
    items = list(process_pool.decode_windows(b"EVIL" + _wav(seconds), config=config, resources=resources, only=only))
    assert not any(isinstance(item, Reject) for item in items), items
    assert items


@pytest.mark.parametrize("what", ["SIGKILL", "SIGTERM"])
def test_a_decoder_that_is_ended_from_outside_says_nothing_of_its_file(evil_files, what):
    evil_files(f"import signal; os.kill(os.getpid(), signal.{what})")
    found = process_pool.decode(b"EVIL", resources=QUICK)
    assert isinstance(found, Reject)
    assert (found.reason, what in found.error) == (Reason.UNREADABLE, True)


def test_a_file_that_is_gone_before_it_is_decoded_may_be_tried_again(tmp_path):
    found = process_pool.decode(tmp_path / "gone.wav", resources=QUICK)
    assert isinstance(found, Reject)
    assert found.reason is Reason.UNREADABLE


def test_another_bound_of_memory_is_taken_by_a_decoder_that_runs():
    for memory_mb in (2_000, 3_000, 1_500):
        assert isinstance(process_pool.decode(_wav(), resources=Resources(memory_mb=memory_mb)), Decoded)


def test_a_caller_that_stops_early_leaves_no_process_behind():
    items = process_pool.decode_windows(_wav(100.0), config=AudioConfig(), resources=QUICK)
    next(items)
    process = items.gi_frame.f_locals["process"].child
    items.close()
    assert process.poll() is not None
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_impossible_limits_are_refused():
    for wrong in ({"memory_mb": 100}, {"long_s": 1.0}, {"decode_timeout_s": 0}):
        with pytest.raises(UsageError, match="expected"):
            Resources(**wrong)
