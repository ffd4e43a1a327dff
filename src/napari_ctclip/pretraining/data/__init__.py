"""Samples: from prepared stores or simulation to batches."""
