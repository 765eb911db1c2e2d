"""Staging files that stages hand to each other; `paths` names them all."""
