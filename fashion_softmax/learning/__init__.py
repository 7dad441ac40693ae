"""The lesson: losses, metrics, models, schedules. No Hydra, no files."""
