"""Figures of the lesson: data in, a matplotlib figure out; the scripts save them."""
