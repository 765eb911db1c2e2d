"""Drift: distances between distributions."""
