"""The demo's sample agrees with its reference: voices kept out of training, three nights, what each odd file is for."""

import csv
from collections import Counter, defaultdict

import pytest
import soundfile as sf
from helpers.paths import ROOT

from models.data.kept_out import is_kept_out

SAMPLE = ROOT / "flows" / "sample"
CORPUS = SAMPLE / "corpus"
FILES = {path.relative_to(CORPUS).as_posix(): path for path in CORPUS.rglob("*") if path.is_file()}
BAD = {"2026/11/19/empty.wav", "2026/11/20/truncated.flac", "2026/11/21/readme-not-audio.mp3"}


@pytest.fixture(scope="module")
def turns() -> list[dict[str, str]]:
    with (SAMPLE / "reference.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_reference_is_of_every_file_with_speech(turns):
    assert {turn["file"] for turn in turns} == FILES.keys() - BAD
    for turn in turns:
        length_s = sf.info(FILES[turn["file"]]).duration
        assert 0 <= float(turn["start_s"]) < float(turn["end_s"]) <= length_s + 0.001


def test_eight_readers_kept_out_of_training_come_back_on_other_nights(turns):
    nights, pieces = defaultdict(set), Counter()
    for turn in turns:
        if turn["speaker"].startswith("libri-"):
            nights[turn["speaker"]].add(turn["file"][:10])
            pieces[turn["speaker"]] += "-copy." not in turn["file"]
    assert len(nights) == 8
    assert all(map(is_kept_out, nights))
    assert pieces.total() == 30
    assert {len(dates) for dates in nights.values()} == {3}


def test_two_meetings_of_several_voices(turns):
    voices = defaultdict(set)
    for turn in turns:
        if turn["speaker"].startswith("ami-"):
            voices[turn["file"]].add(turn["speaker"])
    assert {name: len(who) for name, who in voices.items()} == {
        "2026/11/20/meeting-a.ogg": 4,
        "2026/11/21/meeting-b.ogg": 3,
    }


def test_it_is_small_and_short():
    assert sum(path.stat().st_size for path in FILES.values()) < 4_000_000
    assert sum(sf.info(FILES[name]).duration for name in FILES.keys() - BAD) < 200


def test_formats():
    found = [sf.info(FILES[name]) for name in sorted(FILES.keys() - BAD)]
    assert Counter((info.format, info.subtype, info.samplerate, info.channels) for info in found) == {
        ("OGG", "VORBIS", 16_000, 1): 27,
        ("OGG", "VORBIS", 16_000, 2): 1,
        ("OGG", "OPUS", 16_000, 1): 1,
        ("FLAC", "PCM_16", 16_000, 1): 1,
        ("MP3", "MPEG_LAYER_III", 16_000, 1): 1,
        ("WAV", "PCM_16", 8_000, 1): 2,
    }


def test_the_copy_is_exact_and_bad_files_do_not_decode():
    (copy,) = (name for name in FILES if "-copy." in name)
    (original,) = (path for path in FILES.values() if path.name == copy.rpartition("/")[2].replace("-copy", ""))
    assert FILES[copy].read_bytes() == original.read_bytes()
    for name in BAD:
        with pytest.raises(sf.LibsndfileError):
            sf.read(FILES[name])
