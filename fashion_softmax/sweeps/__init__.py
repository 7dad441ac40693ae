"""Many runs: the folder of a sweep, grid, resuming, display."""
