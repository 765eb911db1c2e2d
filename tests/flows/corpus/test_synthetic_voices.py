"""The synthetic voices of the tests agree with its script, labels and README; espeak-ng is not needed here."""

import csv
from collections import Counter, defaultdict
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile as sf
from helpers import synthetic_voices
from helpers.explore_profile import only_exploring
from helpers.paths import SAMPLE, SYNTHETIC_VOICES

CORPUS = SAMPLE
BAD = (synthetic_voices.EMPTY, synthetic_voices.TRUNCATED, synthetic_voices.TEXT)
CLIPS = synthetic_voices.clips()
GOOD = [*(clip.path for clip in CLIPS), synthetic_voices.DUPLICATE[1]]


def _decoded(path: str) -> tuple[np.ndarray, int]:
    samples, rate_hz = sf.read(CORPUS / path, always_2d=True)
    return samples, rate_hz


def _f0_hz(path: str) -> np.ndarray:
    samples, rate_hz = _decoded(path)
    sizes = {"frame_length": rate_hz // 8, "hop_length": rate_hz // 100}
    f0 = librosa.yin(samples.mean(axis=1), fmin=55, fmax=450, sr=rate_hz, **sizes)
    level = librosa.feature.rms(y=samples.mean(axis=1), **sizes)[0][: f0.size]
    return f0[level > 0.25 * level.max()]


def test_the_corpus_holds_what_the_script_lists_and_nothing_else() -> None:
    found = {path.relative_to(CORPUS).as_posix() for path in CORPUS.rglob("*") if path.is_file()}
    assert found == {*GOOD, *BAD}
    assert len(CLIPS) == 30
    assert Counter(Path(path).parent.as_posix() for path in found) == {
        "2026/11/19": 11, "2026/11/20": 11, "2026/11/21": 12,
    }  # fmt: skip


def test_labels_are_the_generated_listing_without_emotions() -> None:
    with (SYNTHETIC_VOICES / "labels.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["path", "speaker", "emotion"]
    assert [tuple(row) for row in rows] == synthetic_voices.label_rows()
    assert {path for path, _, _ in synthetic_voices.label_rows()} == set(GOOD)
    assert {emotion for _, _, emotion in synthetic_voices.label_rows()} == {""}


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 3_000_000


@pytest.mark.parametrize("path", GOOD)
def test_every_clip_decodes_and_is_neither_silent_nor_clipped(path: str) -> None:
    samples, rate_hz = _decoded(path)
    assert 1.5 <= len(samples) / rate_hz <= 12
    assert 0.1 < np.abs(samples).max() < 0.95
    assert np.sqrt((samples**2).mean()) > 0.01  # -40 dBFS


def test_formats() -> None:
    seen = Counter((info.format, info.subtype, info.samplerate, info.channels) for info in map(sf.info, _paths()))
    assert seen == {
        ("FLAC", "PCM_16", 16_000, 1): 22,
        ("FLAC", "PCM_16", 16_000, 2): 1,
        ("OGG", "VORBIS", 16_000, 1): 2,
        ("OGG", "OPUS", 16_000, 1): 1,
        ("MP3", "MPEG_LAYER_III", 16_000, 1): 2,
        ("WAV", "PCM_16", 8_000, 1): 2,
    }


def _paths() -> list[str]:
    return [str(CORPUS / clip.path) for clip in CLIPS]


def test_six_voices_come_back_on_other_nights() -> None:
    nights = defaultdict(set)
    for clip in CLIPS:
        nights[clip.voice].add(clip.path[:10])
    assert {voice: len(dates) for voice, dates in nights.items()} == {
        "voice-a": 3, "voice-b": 3, "voice-c": 3, "voice-d": 3, "voice-e": 3, "voice-f": 2,
    }  # fmt: skip


@only_exploring
def test_the_voices_median_f0_differ() -> None:
    f0_hz = {
        voice: np.median(np.concatenate([_f0_hz(clip.path) for clip in CLIPS if clip.voice == voice]))
        for voice in synthetic_voices.VOICES
    }
    assert np.diff(sorted(f0_hz.values())).min() > 15


def test_one_clip_holds_a_pause_of_a_second_and_a_half() -> None:
    (clip,) = (clip for clip in CLIPS if len(clip.sentences) == 2)
    samples, rate_hz = _decoded(clip.path)
    loud = np.flatnonzero(np.abs(samples[:, 0]) > 0.004)  # the noise under the speech stays below it
    assert np.diff(loud).max() / rate_hz == pytest.approx(1.5, abs=0.05)


def test_the_duplicate_is_exact() -> None:
    original, copy = (CORPUS / path for path in synthetic_voices.DUPLICATE)
    assert copy.read_bytes() == original.read_bytes()


@pytest.mark.parametrize("path", BAD)
def test_bad_files_do_not_decode(path: str) -> None:
    with pytest.raises(sf.LibsndfileError):
        _decoded(path)


def test_each_bad_file_is_bad_in_its_own_way() -> None:
    assert (CORPUS / synthetic_voices.EMPTY).stat().st_size == 0
    whole = (CORPUS / synthetic_voices.DUPLICATE[0]).read_bytes()
    cut = (CORPUS / synthetic_voices.TRUNCATED).read_bytes()
    assert whole.startswith(cut)
    assert 0 < len(cut) < len(whole) / 2
    assert "This is text" in (CORPUS / synthetic_voices.TEXT).read_text()


def test_ogg_serials_are_fixed_and_checksums_hold() -> None:
    """libsndfile draws a serial number at random: two runs of the script once gave different bytes."""
    for path in (clip.path for clip in CLIPS if clip.path.endswith((".ogg", ".opus"))):
        ogg = (CORPUS / path).read_bytes()
        assert ogg[14:18] == b"\x01\x00\x00\x00"
        assert synthetic_voices.with_fixed_serial(ogg) == ogg
