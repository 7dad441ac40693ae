"""Comparing runs that were recorded: reading them, ranking them honestly, and showing it as tables, figures and a page.

Nothing here trains, and nothing but the pictures of a report needs torch.
"""
