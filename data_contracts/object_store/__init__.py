"""Requests to a remote store: client options, retries, translated errors."""
