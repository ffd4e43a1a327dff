"""Regions of interest: drawn, read, compared."""
