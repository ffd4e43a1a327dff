"""Importers of published models, a file each, and the networks they need."""
