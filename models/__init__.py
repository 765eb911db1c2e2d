"""Emotion and speaker models: inference, training, evaluation and registry."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the shipped models, one subfolder each."""
