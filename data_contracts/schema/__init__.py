"""Columns: the schemas of tables and feature sets, their keys, units and meanings."""
