"""What people see of runs while they train: in TensorBoard, and in the terminal."""
