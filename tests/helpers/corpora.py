"""Small corpora: a few files of the synthetic voices, laid out by date."""

import shutil
from pathlib import Path

from helpers.paths import SAMPLE


def sample_corpus(corpus: Path, *files: str, date: str | None = None) -> Path:
    """Copies files such as `20/call-0012-voice-b.flac`, to their own dates or all to one such as `2026/11/19`."""
    for file in files:
        source = SAMPLE / "2026" / "11" / file
        place = corpus / (date or f"2026/11/{source.parent.name}") / source.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)
    return corpus
