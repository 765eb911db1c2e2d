"""Measures of a recording's quality; NumPy and SciPy, no torch."""
