"""Runs looked at: reading, ranking, tables, the page."""
