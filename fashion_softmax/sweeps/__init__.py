"""Many folders: plan, grid, display."""
