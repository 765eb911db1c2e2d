"""Distribution of work over Dask workers; the only subpackage of tasks that imports Dask."""
