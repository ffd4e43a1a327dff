"""Tables, plots, folds and rings; they know no Session."""
