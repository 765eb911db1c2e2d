"""`labels.csv` as spreadsheets save it, and its refusal before anything heavy is imported."""

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from data_contracts.errors import CorpusError
from models.data import training_set
from models.data.labels_file import read_labels
from models.data.speaker_overlap import overlapping_speakers, write_without_speakers

TEXT = "path,speaker,emotion\nclips/José 1.wav,José,anger\nclips/b.wav,ann,\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clips").mkdir()
    for name in ("José 1.wav", "b.wav"):
        (tmp_path / "clips" / name).write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    "data",
    [
        TEXT.replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig"),
        TEXT.replace(",", "\t").encode("utf-16"),
        TEXT.replace("/", "\\").encode(),
        unicodedata.normalize("NFD", TEXT).encode(),
        b"sep=;\r\n" + TEXT.replace(",", ";").encode(),
    ],
)
def test_labels_of_a_spreadsheet_are_read(folder, data):
    """They were refused, after 20 s."""
    (folder / "labels.csv").write_bytes(data)
    clips = read_labels([folder])
    assert [(clip.path, clip.speaker, clip.emotion) for clip in clips] == [
        (folder / "clips/José 1.wav", "José", "anger"),
        (folder / "clips/b.wav", "ann", ""),
    ]
    (folder / "out").mkdir()
    (rest,) = read_labels([write_without_speakers({"José"}, folder, folder / "out")])
    assert (rest.path, rest.speaker, rest.corpus) == (folder / "clips/b.wav", "ann", folder.name)


def test_a_speaker_of_an_older_model_is_known_by_either_spelling(folder):
    (folder / "labels.csv").write_text(TEXT)
    (folder / "model").mkdir()
    training_set.write_speakers(folder / "model", [unicodedata.normalize("NFD", "José")])
    assert overlapping_speakers(folder / "model", read_labels([folder]), ["0", "1"]) == {"José"}


def test_another_encoding_is_named_with_its_line(folder):
    (folder / "labels.csv").write_bytes(TEXT.encode("cp1252"))
    with pytest.raises(CorpusError, match=r"labels\.csv, line 2: expected UTF-8, found another encoding .*CSV UTF-8"):
        read_labels([folder])


@pytest.mark.parametrize(
    "command",
    [
        ["train", "emotion", "--corpus", "{}"],
        ["evaluate", "speaker", "--corpus", "{}"],
        ["promote", "emotion", "2", "--corpus", "{}", "--lake", "lake"],
    ],
)
def test_wrong_labels_are_told_before_heavy_imports(folder, command):
    """`torch`, Polars and Prefect take seconds."""
    (folder / "labels.csv").write_bytes(TEXT.encode("cp1252"))
    words = ["undertone", "models", *(word.format(folder) for word in command)]
    code = f"""
import sys
sys.argv = {words}
from flows.cli.main import main
try:
    main()
finally:
    print(sorted({{"torch", "prefect", "mlflow", "polars"}} & sys.modules.keys()))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "line 2: expected UTF-8" in answer.stderr
    assert answer.stdout.strip() == "[]"
