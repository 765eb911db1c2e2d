"""Prefect tasks, a module a stage; the only room of tasks that knows Prefect."""
