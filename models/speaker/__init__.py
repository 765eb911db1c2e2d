"""Speaker model: embeddings, training, verification and linking."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.speaker.pyfunc import SpeakerPyfunc


def _load_pyfunc(data_path: str) -> "SpeakerPyfunc":
    """Load a speaker model for MLflow, which stores the name `models.speaker` as its loader module."""
    from models.speaker.model import _load_pyfunc as load

    return load(data_path)
