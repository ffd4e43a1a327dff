"""Manifests and prepared stores of studies."""
