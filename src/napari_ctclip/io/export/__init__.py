"""Volumes, masks and heatmaps to files: NIfTI and DICOM objects."""
