"""Lists of labelled speech, and the speech of their clips."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from data_contracts.errors import CorpusError, UsageError
from models.data.labelled_speech import Speech, manifest_digest, read_speech
from models.data.labels_file import Clip, read_labels


def _write(folder: Path, text: str) -> Path:
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    return folder


def test_other_columns_are_ignored_and_empty_cells_stay_empty(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    _write(tmp_path, "gender,path,emotion,speaker\nfemale,a.wav,,ann\n")
    (clip,) = read_labels([tmp_path])
    assert (clip.path, clip.speaker, clip.emotion) == (tmp_path / "a.wav", "ann", "")
    assert clip.corpus == tmp_path.name


def test_spreadsheets_byte_order_mark_and_quoted_commas_are_read(tmp_path: Path) -> None:
    (tmp_path / "a,b.wav").touch()
    _write(tmp_path, '\ufeffpath,speaker,emotion\r\n"a,b.wav",ann,anger\r\n')
    assert read_labels([tmp_path])[0].path.name == "a,b.wav"


def test_missing_list_says_where_and_how_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"labels\.csv.*path,speaker,emotion"):
        read_labels([tmp_path])


def test_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"found path, who: add speaker, emotion"):
        read_labels([_write(tmp_path, "path,who\na.wav,ann\n")])


def test_empty_list_has_no_columns(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found none"):
        read_labels([_write(tmp_path, "")])


def test_missing_audio_is_named(tmp_path: Path) -> None:
    (tmp_path / "here.wav").touch()
    with pytest.raises(CorpusError, match=r"1 of 2 files that are not there, first .*gone\.wav"):
        read_labels([_write(tmp_path, "path,speaker,emotion\nhere.wav,a,\ngone.wav,a,\n")])


def test_clips_without_audio_or_speech_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is not audio")
    sf.write(tmp_path / "silence.wav", np.zeros(16_000, np.float32), 16_000)
    _write(tmp_path, "path,speaker,emotion\ntext.wav,a,\nsilence.wav,a,\n")
    assert list(read_speech(read_labels([tmp_path]))) == []


@pytest.mark.usefixtures("_all_is_speech")
def test_a_copy_under_another_name_counts_once(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        sf.write(tmp_path / name, np.full(8_000, 0.1, np.float32), 16_000)
    _write(tmp_path, "path,speaker,emotion\na.wav,ann,\nb.wav,ann,\n")
    assert [item.clip.path.name for item in read_speech(read_labels([tmp_path]))] == ["a.wav"]


@pytest.mark.usefixtures("_all_is_speech")
def test_speech_comes_in_order_with_its_recording_id(corpus: Path) -> None:
    clips = read_labels([corpus])
    speech = list(read_speech(clips))
    assert [item.clip for item in speech] == clips
    assert len({item.recording_id for item in speech}) == len(clips)
    assert speech[0].waveform.dtype == np.float32


def test_a_manifest_digest_depends_on_recordings_and_labels(tmp_path: Path) -> None:
    silence = np.zeros(4, np.float32)
    clips = [Speech(Clip(tmp_path / "x.wav", who, "anger", "lab"), who * 12, silence) for who in "ab"]
    relabelled = [Speech(Clip(tmp_path / "x.wav", "a", "sadness", "lab"), "a" * 12, silence), clips[1]]
    assert manifest_digest(clips) == manifest_digest(reversed(clips))
    assert manifest_digest(clips) != manifest_digest(relabelled)
    assert len(manifest_digest([])) == 12


def test_a_clips_licence_is_its_own_column(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    _write(tmp_path, "path,emotion,speaker,license\na.wav,,ann,CC BY 4.0\n")
    assert read_labels([tmp_path])[0].licence == "CC BY 4.0"
