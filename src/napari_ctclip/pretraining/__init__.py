"""Data set to checkpoint."""
