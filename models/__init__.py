"""Emotion and speaker models: what they compute, how they are trained and judged, and the registry they live in."""
