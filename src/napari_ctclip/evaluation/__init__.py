"""Scores and labels to metrics."""
