"""Dashboard: a marimo application over the published tables."""
