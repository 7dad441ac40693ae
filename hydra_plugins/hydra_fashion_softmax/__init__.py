"""Hydra's plugins of this project; Hydra discovers them in the namespace `hydra_plugins` and nowhere else."""
