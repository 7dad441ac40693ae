"""Many runs: grid, resuming, display."""
