"""What the model sees: intensities, grid, and the frozen specification of both."""
