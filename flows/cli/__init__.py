"""The `undertone` command: one module for each group of commands."""
