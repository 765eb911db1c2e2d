"""Notifications of a run's end through Apprise."""
