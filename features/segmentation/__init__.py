"""Segmentation: voice activity, speaker changes and the cuts between utterances."""
