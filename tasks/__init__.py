"""The eight stages as thin Prefect tasks: open what is needed, call the layers below, return counts."""
