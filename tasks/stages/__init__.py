"""Prefect tasks, a module a stage; the only subpackage of tasks that imports Prefect."""
