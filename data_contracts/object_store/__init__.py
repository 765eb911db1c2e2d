"""Requests to a remote store: client options, retries and error translation."""
