"""Emotion model: classification, adaptation, training and evaluation."""
