"""The eight stages as Prefect tasks, and the rooms below them: staging, aggregates, publication, compute."""
