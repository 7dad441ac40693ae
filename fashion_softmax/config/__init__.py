"""What was asked for: the schema, jobs of a grid, checking, building. The only room that knows Hydra and OmegaConf."""
