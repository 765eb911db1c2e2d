"""Spread of work over Dask workers; the only room of tasks that knows Dask."""
