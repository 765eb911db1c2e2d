"""Test helpers: made-up sound and lakes, runs, processes that die, stores and disks that fail."""
