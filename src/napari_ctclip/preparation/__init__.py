"""An archive of scans and reports to a training set: manifest, store, quality report."""
