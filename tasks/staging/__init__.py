"""Staging files that stages hand to each other; `tasks.run.staging_paths` names them all."""
