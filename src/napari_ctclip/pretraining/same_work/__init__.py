"""Same-work comparison: several methods on one simulated cohort, with the same compute."""
