"""Processes around a run: Prefect's server, Dask workers, the fork server."""
