"""Container formats: what a file's bytes promise; nothing is decoded."""
