"""Which recordings a model was trained on: `trained_on.txt` in its folder, so that no evaluation counts them as unseen.

A line a recording: the first 12 hex of the SHA-256 of the file's bytes.
"""

from collections.abc import Iterable
from pathlib import Path

from models.labels import Speech

_NAME = "trained_on.txt"


def write(folder: Path, recordings: Iterable[str]) -> None:
    """Sorted, each once."""
    (folder / _NAME).write_text("".join(f"{name}\n" for name in sorted(set(recordings))))


def read(folder: Path) -> frozenset[str]:
    """The recordings; none where the folder names none."""
    listed = folder / _NAME
    return frozenset(listed.read_text().split()) if listed.is_file() else frozenset()


def speakers_heard(speech: Iterable[Speech], trained_on: frozenset[str]) -> set[str]:
    """The speakers of whom training had any recording: their other clips are not of unheard speakers either."""
    return {item.clip.speaker for item in speech if item.recording_id in trained_on}
