"""A run's folder: layout, state, lock, checkpoints, records; and training folders."""
