"""Regions of interest: drawn, described, compared."""
