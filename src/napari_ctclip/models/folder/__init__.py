"""A model as a folder: weights, model.toml, strict loading."""
