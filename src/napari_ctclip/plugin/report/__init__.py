"""The Report tab: a pasted report against the scan."""
