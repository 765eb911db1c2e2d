"""Kind of a model's folder, our own or pretrained, and the matching speaker model."""

import json
from pathlib import Path

from models.pretrained.speaker import PretrainedSpeaker
from models.speaker.model import SpeakerModel
from models.speaker.protocol import SpeakerEncoder


def is_pretrained(folder: Path) -> bool:
    """Return whether the folder's `config.json` names a kind; Undertone's own models have none."""
    path = folder / "config.json"
    return path.is_file() and "kind" in json.loads(path.read_text())


def load_speaker(folder: Path) -> SpeakerEncoder:
    """Return the speaker model of a folder. Raises ModelError."""
    return PretrainedSpeaker.load(folder) if is_pretrained(folder) else SpeakerModel.load(folder)
