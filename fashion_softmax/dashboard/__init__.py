"""What TensorBoard gets of a run."""
