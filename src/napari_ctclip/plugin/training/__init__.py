"""Watching and starting trainings."""
