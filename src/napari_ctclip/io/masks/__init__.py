"""Organ mask files to label maps and back: legends, label schemes, DICOM SEG."""
