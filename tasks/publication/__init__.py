"""Publication: lock, Delta commits, roll-forward and manual changes."""
