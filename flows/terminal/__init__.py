"""Terminal output: progress, tables, summaries and log levels."""
