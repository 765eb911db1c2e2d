"""Rows of the daily tables and of the speakers table."""
