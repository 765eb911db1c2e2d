"""The page that a run leaves beside its validation: one HTML file that needs nothing else."""
