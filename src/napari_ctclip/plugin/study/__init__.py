"""The Data tab: scans, masks, series, samples."""
