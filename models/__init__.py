"""Emotion and speaker models: what they compute, how they are trained and judged, and the registry they live in."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
"""The shipped models, a folder each."""
