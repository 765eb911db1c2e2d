"""Metrics of classifiers and their confidence intervals."""
