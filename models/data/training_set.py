"""Training set of a model, as hashes in its folder, so that no evaluation counts seen speakers as unseen.

`trained_on.txt`, a line a recording: the first 12 hex of the SHA-256 of the file's bytes. `trained_on_speakers.txt`, a
line a speaker: the same of the label in labels.csv, so that other recordings of a voice are known too.
"""

from collections.abc import Iterable
from pathlib import Path

from data_contracts.fingerprint import digest
from models.data.labelled_speech import Speech

_RECORDINGS, _SPEAKERS = "trained_on.txt", "trained_on_speakers.txt"


def write(folder: Path, recordings: Iterable[str]) -> None:
    """Write the recordings, sorted, each once."""
    _write(folder / _RECORDINGS, recordings)


def read(folder: Path) -> frozenset[str]:
    """Return the recordings; none where the folder names none."""
    return _read(folder / _RECORDINGS)


def write_speakers(folder: Path, labels: Iterable[str]) -> None:
    """Write the hashes of the speakers' labels, sorted, each once."""
    _write(folder / _SPEAKERS, map(speaker_hash, labels))


def read_speakers(folder: Path) -> frozenset[str]:
    """Return the hashes of the speakers' labels; none where the folder names none."""
    return _read(folder / _SPEAKERS)


def exists(folder: Path) -> bool:
    """Return whether the folder names the model's training recordings."""
    return (folder / _RECORDINGS).is_file()


def speaker_hash(label: str) -> str:
    return digest(label.encode(), 12)


def seen_speakers(speech: Iterable[Speech], trained_on: frozenset[str]) -> set[str]:
    """Return the speakers of whom training had any recording; their other clips are not unseen either."""
    return {item.clip.speaker for item in speech if item.recording_id in trained_on}


def _write(path: Path, names: Iterable[str]) -> None:
    path.write_text("".join(f"{name}\n" for name in sorted(set(names))))


def _read(path: Path) -> frozenset[str]:
    return frozenset(path.read_text().split()) if path.is_file() else frozenset()
