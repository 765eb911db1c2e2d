"""Corpus objects: listing, fetching and grouping into shards."""
