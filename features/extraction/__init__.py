"""Extraction: a shard, or a long recording, to its feature tables."""
