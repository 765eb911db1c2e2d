"""Fetching and decoding ahead: order and bounds are kept, and failures become reasons."""

import datetime as dt
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import numpy as np
import pytest
import soundfile as sf
from botocore.exceptions import ClientError, EndpointConnectionError

from data_contracts.errors import CredentialsError, TransientError
from data_contracts.fingerprint import digest
from data_contracts.object_store.retry import RetryPolicy
from data_contracts.records import AudioObject
from data_contracts.rejects import Reason, Reject
from features.corpus.filesystem import stat_object
from features.corpus.layout import Corpus
from features.corpus.listing import list_objects
from features.decode import process_pool
from features.decode.config import AudioConfig
from features.decode.recording import Decoded
from features.extraction.prefetch import DecodedObject, LongRecording, fetch_ahead
from features.resources import Resources

DAY, NOW = dt.date(2026, 11, 21), dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
CONFIG = AudioConfig()


def _wav(seconds: float = 0.2) -> bytes:
    file = io.BytesIO()
    samples = 0.1 * np.sin(np.arange(round(16_000 * seconds)) * 0.1)
    sf.write(file, samples, 16_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


WAV = _wav()


def _item(uri: str, n_bytes: int = len(WAV)) -> AudioObject:
    return AudioObject(uri, "etag", n_bytes, DAY, NOW)


class CountingReader:
    """Counts who reads at once and how far reading has run ahead of `n_taken`; later objects answer first."""

    def __init__(self, size: int = 0) -> None:
        self.lock = threading.Lock()
        self.size, self.n_taken = size, 0
        self.n_now = self.max_in_flight = self.n_started = self.max_ahead = 0

    def __call__(self, uri: str, _etag: str) -> bytes:
        with self.lock:
            self.n_now += 1
            self.n_started += 1
            self.max_in_flight = max(self.max_in_flight, self.n_now)
            self.max_ahead = max(self.max_ahead, self.n_started - self.n_taken)
        threading.Event().wait(0.004 if int(uri) % 2 else 0.001)
        with self.lock:
            self.n_now -= 1
        return WAV


def test_objects_come_in_order_decoded_with_their_digest():
    items = [_item(str(n)) for n in range(30)]
    fetched = list(fetch_ahead(items, config=CONFIG, resources=Resources(n_readers=4), read=CountingReader()))
    assert [item.item for item in fetched] == items
    assert {item.sha256 for item in fetched} == {digest(WAV)}
    assert all(isinstance(item.audio, Decoded) for item in fetched)


def test_no_more_are_in_flight_than_allowed():
    reader = CountingReader()
    for _ in fetch_ahead(
        (_item(str(n)) for n in range(60)), config=CONFIG, resources=Resources(n_readers=3, n_ahead=6), read=reader
    ):
        reader.n_taken += 1
    assert reader.n_started == 60
    assert reader.max_in_flight <= 3
    assert reader.max_ahead <= 6 + 1  # one is being handed over


def test_bytes_in_flight_are_bounded_and_one_too_large_goes_alone(monkeypatch):
    monkeypatch.setattr(Resources, "read_ahead_bytes", 2 * len(WAV))
    reader = CountingReader()
    for _ in fetch_ahead(
        (_item(str(n)) for n in range(20)), config=CONFIG, resources=Resources(n_readers=8), read=reader
    ):
        reader.n_taken += 1
    assert reader.max_ahead <= 2 + 1
    monkeypatch.setattr(Resources, "read_ahead_bytes", 1)
    reader = CountingReader()
    for _ in fetch_ahead(
        (_item(str(n)) for n in range(5)), config=CONFIG, resources=Resources(n_readers=8), read=reader
    ):
        reader.n_taken += 1
    assert reader.n_started == 5
    assert reader.max_in_flight == 1


def test_reading_starts_on_demand_and_stops_with_the_consumer():
    reader = CountingReader()
    fetched = fetch_ahead(
        (_item(str(n)) for n in range(1_000)), config=CONFIG, resources=Resources(n_readers=2, n_ahead=4), read=reader
    )
    assert reader.n_started == 0
    next(fetched)
    fetched.close()
    assert reader.n_started <= 5


def _seconds_ahead(fetched: Iterator[DecodedObject]) -> float:
    """The most decoded audio that was ever waiting, in seconds."""
    most, total = 0.0, 0.0
    for item in fetched:
        threading.Event().wait(0.02)  # a slow consumer
        total += item.held_s
        most = max(most, N_DECODED["n"] * 2.0 - total)
    return most


N_DECODED = {"n": 0}


def test_decoded_time_ahead_is_bounded(monkeypatch):
    """A few megabytes of a low bit rate are hours: what bounds bytes bounds no memory."""
    wav, real = _wav(2.0), process_pool.decode_windows
    items = [_item(str(n), len(wav)) for n in range(20)]

    def counted(*args, **more):
        N_DECODED["n"] += 1
        return real(*args, **more)

    monkeypatch.setattr(process_pool, "decode_windows", counted)
    monkeypatch.setattr(Resources, "block_s", 6.0)
    N_DECODED["n"] = 0
    assert _seconds_ahead(fetch_ahead(items, config=CONFIG, read=lambda *_: wav)) <= 6.0 + 2.0
    assert N_DECODED["n"] == 20


def test_a_recording_that_is_too_long_is_marked():
    long, short = _wav(100.0), _wav(1.0)
    items = [_item("short", len(short)), _item("long", len(long)), _item("again", len(short))]
    resources = Resources(long_s=60.0)
    found = list(
        fetch_ahead(items, config=CONFIG, resources=resources, read=lambda uri, _: long if uri == "long" else short)
    )
    assert [type(item.audio) for item in found] == [Decoded, LongRecording, Decoded]
    assert found[1].sha256 == digest(long)


def test_transient_failures_of_the_store_are_retried():
    """All at once, so that the waits between the tries are waited once."""
    failures = {
        "timeout": TimeoutError("slow"),
        "reset": ConnectionResetError("reset"),
        "broken disk": OSError(5, "I/O error"),
        "unreachable": EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),  # no OSError
    }
    tries = dict.fromkeys([*failures, *(f"{name} always" for name in failures)], 0)

    def read(uri: str, _etag: str) -> bytes:
        tries[uri] += 1
        if uri.endswith("always") or tries[uri] < 2:
            raise failures[uri.removesuffix(" always")]
        return WAV

    for item in fetch_ahead(map(_item, tries), config=CONFIG, resources=Resources(n_readers=len(tries)), read=read):
        if not item.item.uri.endswith("always"):
            assert tries[item.item.uri] == 2
            assert isinstance(item.audio, Decoded)
            continue
        assert tries[item.item.uri] == 6
        assert item.sha256 is None
        assert isinstance(item.audio, Reject)
        assert item.audio.reason is Reason.UNREADABLE
        assert item.audio.error.endswith("(tried 6 times)")
        assert type(failures[item.item.uri.removesuffix(" always")]).__name__ in item.audio.error


def test_a_busy_store_or_wrong_credentials_raise_instead_of_rejecting():
    """They are not the recordings' fault: all of them would be marked, and after three nights be left alone."""
    words = {"SlowDown": TransientError, "ExpiredToken": CredentialsError, "RequestTimeTooSkewed": CredentialsError}
    for word, ours in words.items():

        def read(uri: str, _etag: str, word=word) -> bytes:
            raise ClientError({"Error": {"Code": word, "Message": "said the store"}}, "GetObject")

        fetched = fetch_ahead(
            [_item("a")], config=CONFIG, resources=Resources(retry_policy=RetryPolicy(0.3)), read=read
        )
        with pytest.raises(ours, match=r"reading a: .*said the store"):
            list(fetched)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(FileNotFoundError("x"), Reason.VANISHED), (PermissionError("AccessDenied"), Reason.ACCESS_DENIED)],
)
def test_permanent_failures_are_not_retried(error, reason):
    tries = []

    def read(uri: str, _etag: str) -> bytes:
        tries.append(uri)
        raise error

    (fetched,) = fetch_ahead([_item("a")], config=CONFIG, read=read)
    assert tries == ["a"]
    assert fetched.sha256 is None
    assert isinstance(fetched.audio, Reject)
    assert fetched.audio.reason is reason


def test_an_object_of_another_size_was_overwritten():
    (fetched,) = fetch_ahead([_item("a", len(WAV) + 1)], config=CONFIG, read=lambda *_: WAV)
    assert fetched.sha256 is None
    assert isinstance(fetched.audio, Reject)
    assert fetched.audio.reason is Reason.VANISHED
    assert fetched.audio.error == f"listed with {len(WAV) + 1} bytes, read {len(WAV)}: it was overwritten"


def test_an_undecodable_object_has_a_digest_and_a_reason():
    (fetched,) = fetch_ahead([_item("a", 5)], config=CONFIG, read=lambda *_: b"Dear ")
    assert fetched.sha256 == digest(b"Dear ")
    assert isinstance(fetched.audio, Reject)
    assert fetched.audio.reason is Reason.NOT_AUDIO


def test_an_unexpected_error_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(fetch_ahead([_item("a")], config=CONFIG, read=lambda *_: bytes(1 // 0)))


def test_a_folder_is_read(tmp_path: Path):
    (tmp_path / "2026/11/21").mkdir(parents=True)
    (tmp_path / "2026/11/21/a.wav").write_bytes(WAV)
    (tmp_path / "2026/11/21/gone.wav").write_bytes(WAV)
    listed = list(list_objects(Corpus(str(tmp_path)), [DAY]))
    (tmp_path / "2026/11/21/gone.wav").unlink()
    here, gone = fetch_ahead(listed, config=CONFIG)
    assert here.sha256 == digest(WAV)
    assert isinstance(gone.audio, Reject)
    assert gone.audio.reason is Reason.VANISHED


def test_s3_is_read(s3):
    client = boto3.client("s3")
    for key in ("2026/11/21/a.wav", "2026/11/21/gone.wav", "2026/11/21/overwritten.wav"):
        client.put_object(Bucket=s3, Key=key, Body=WAV)
    listed = list(list_objects(Corpus(f"s3://{s3}"), [DAY]))
    client.delete_object(Bucket=s3, Key="2026/11/21/gone.wav")
    client.put_object(Bucket=s3, Key="2026/11/21/overwritten.wav", Body=WAV[:-1] + b"x")
    here, gone, overwritten = fetch_ahead(listed, config=CONFIG)
    assert here.sha256 == digest(WAV)
    for fetched in (gone, overwritten):
        assert isinstance(fetched.audio, Reject)
        assert fetched.audio.reason is Reason.VANISHED


def test_stopping_early_leaves_no_copies(s3, tmp_path, monkeypatch):
    monkeypatch.setattr("features.corpus.objects.LARGE_BYTES", 100)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for number in range(8):
        boto3.client("s3").put_object(Bucket=s3, Key=f"{number}.wav", Body=WAV)
    fetched = fetch_ahead([stat_object(f"s3://{s3}/{number}.wav", DAY) for number in range(8)], config=CONFIG)
    assert isinstance(next(fetched).audio, Decoded)
    fetched.close()
    assert not list(tmp_path.glob("undertone-*"))
