"""Two scans of one patient."""
