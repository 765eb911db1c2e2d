"""Audio formats end to end: any file name, two-channel calls, long recordings, files that attack their decoder."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile as sf
import soxr
from helpers.audio_files import KINDS, encoded, written
from polars.testing import assert_frame_equal

from data_contracts.lake import Lake
from features.decode.recording import decode
from flows.backfill import backfill

RATE = 16_000
FLOAT = {"check_exact": False, "abs_tol": 1e-3, "rel_tol": 1e-3}


@pytest.fixture(scope="module")
def voices(sample: Path) -> list[np.ndarray]:
    """(time,) at 16 kHz: clips of different synthetic voices."""
    paths = sorted(sample.glob("2026/11/19/*voice-*.flac"))
    return [decode(path.read_bytes()).waveform for path in paths]


def _alaw(left: np.ndarray, right: np.ndarray) -> bytes:
    n = max(len(left), len(right))
    both = np.stack([np.pad(side, (0, n - len(side))) for side in (left, right)], axis=1)
    sink = io.BytesIO()
    sf.write(sink, soxr.resample(both, RATE, 8_000), 8_000, format="WAV", subtype="ALAW")
    return sink.getvalue()


def _put(folder: Path, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        path = folder / "2026" / "11" / "21" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return str(folder)


def _rows(lake: str, table: str) -> dict[str, dict[str, Any]]:
    """By the name of the file."""
    rows = Lake(lake).scan(table).collect().to_dicts()
    return {row["uri"].rsplit("/", 1)[-1]: row for row in rows}


def test_formats_and_hostile_files_in_one_corpus(settings, tmp_path, voices, evil_files):
    """The content decides, not the name; who attacks is rejected, and its neighbours are published."""
    evil_files("ctypes.string_at(0) if content[4:5] == b'c' else time.sleep(600)")
    speech = {codec: soxr.resample(voices[0], RATE, KINDS[codec].rate)[:, None] for codec in KINDS}
    files = {
        "meeting.wav": encoded(speech["mp4/aac"], KINDS["mp4/aac"], tags={"artist": "Ms Nobody"}),
        "film.mp3": encoded(speech["matroska/aac"], KINDS["matroska/aac"], video_s=1.0),
        "note.amr": encoded(speech["amr/amr_nb"], KINDS["amr/amr_nb"]),
        "crash.flac": b"EVILcrash",
        "hang.flac": b"EVILhang",
        "letter.flac": b"Dear Sir or Madam",
        "last.flac": written(voices[1][:, None], "flac"),
    }
    settings |= {"corpus": _put(tmp_path / "corpus", files), "decode_timeout_s": 3, "decoders": 2}
    ledger = backfill(settings=settings)
    recordings, rejects = _rows(settings["lake"], "recordings"), _rows(settings["lake"], "rejects")
    assert {name: row["status"] for name, row in recordings.items()} == {
        name: "rejected" if name in {"crash.flac", "hang.flac", "letter.flac"} else "ok" for name in files
    }
    assert {name: row["reason"] for name, row in rejects.items()} == {
        "crash.flac": "corrupt",
        "hang.flac": "corrupt",
        "letter.flac": "not_audio",
    }
    assert "SIGSEGV" in rejects["crash.flac"]["error"]
    assert "no sample came for 3 s" in rejects["hang.flac"]["error"]
    assert recordings["meeting.wav"]["codec"] == "mp4/aac"
    assert recordings["meeting.wav"]["tags_dropped"] == ["artist"]
    assert (recordings["film.mp3"]["codec"], recordings["note.amr"]["codec"]) == ("matroska/aac", "amr/amr_nb")
    assert recordings["note.amr"]["bandwidth_hz"] < 4_100 < recordings["last.flac"]["bandwidth_hz"]
    for row in recordings.values():
        if row["status"] == "ok":
            assert -60 < row["loudness_lufs"] < 0
            assert 0 < row["speech_ratio"] <= 1
            assert row["snr_db"] > 0
    assert recordings["film.mp3"]["bit_rate_bps"] is None  # Matroska does not say
    assert all(recordings[name]["bit_rate_bps"] > 1_000 for name in ("meeting.wav", "note.amr", "last.flac"))
    assert (ledger.extracted.n_ok, ledger.extracted.n_rejected) == (4, 3)
    assert backfill(settings=settings).n_published_recordings == 0


def test_a_call_is_analysed_by_channel_and_named_by_its_manifest(settings, tmp_path, voices):
    files = {
        "call.wav": _alaw(voices[0], np.pad(voices[1], (8_000, 0))),
        "other.wav": _alaw(voices[2], voices[3]),
        "mono.mp3": written(np.stack([voices[4]] * 2, axis=1), "mp3"),
    }
    corpus = Path(_put(tmp_path / "corpus", files)) / "2026" / "11" / "21"
    rows = [{"uri": str(corpus / name)} for name in files]
    rows[0]["channel_names"] = "agent,customer"
    (tmp_path / "calls.jsonl").write_text("\n".join(map(json.dumps, rows)))
    settings |= {"manifest": str(tmp_path / "calls.jsonl"), "channels": "each", "channel_names": ["left", "right"]}
    backfill(settings=settings)
    recordings = _rows(settings["lake"], "recordings")
    assert {name: row["channels"] for name, row in recordings.items()} == {
        "call.wav": [0, 1],
        "other.wav": [0, 1],
        "mono.mp3": [0],
    }
    said = Lake(settings["lake"]).scan("utterances").collect()
    names = {row["recording_id"]: name for name, row in recordings.items()}
    found = {(names[row["recording_id"]], row["channel"], row["channel_name"]) for row in said.to_dicts()}
    assert found >= {
        ("call.wav", 0, "agent"),
        ("call.wav", 1, "customer"),
        ("other.wav", 0, "left"),
        ("other.wav", 1, "right"),
    }
    assert {place for place in found if place[0] == "mono.mp3"} == {("mono.mp3", 0, "left")}
    one = said.filter(pl.col("recording_id") == recordings["call.wav"]["recording_id"])
    assert one["channel"].unique().sort().to_list() == [0, 1]
    assert one.filter(pl.col("channel") == 1)["start_s"].min() > 0.3


def test_a_long_recording_is_split_over_tasks_and_published_as_one(settings, tmp_path, voices):
    """The same tables as where it is read whole, beside short ones whose shard it leaves."""
    speech = np.concatenate([np.pad(voice, (0, 9_000)) for voice in voices])
    long = np.tile(speech, 1 + 90 * RATE // len(speech))[: 90 * RATE]
    files = {"long.flac": written(long[:, None], "flac"), "short.flac": written(voices[0][:, None], "flac")}
    settings |= {"corpus": _put(tmp_path / "corpus", files)}
    split = backfill(settings=settings | {"long_s": 60.0})
    whole = backfill(settings=settings | {"lake": str(tmp_path / "whole")})
    assert (split.extracted.n_long, whole.extracted.n_long) == (1, 0)
    assert split.extracted.n_objects == whole.extracted.n_objects == 2
    key = ["recording_id", "channel", "segment"]
    left, right = (
        Lake(lake).scan("utterances").drop("run_id").collect().sort(key)
        for lake in (settings["lake"], str(tmp_path / "whole"))
    )
    assert left.height > 12
    assert_frame_equal(left, right, **FLOAT)

    assert backfill(settings=settings | {"long_s": 60.0}).n_published_recordings == 0
    again = backfill(settings=settings | {"long_s": 60.0}, force=True)
    assert (again.n_published_recordings, again.n_published_utterances) == (2, left.height)
