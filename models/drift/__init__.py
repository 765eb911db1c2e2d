"""Drift: histograms, and distances between distributions."""
