"""CT files to volumes in HU: DICOM, NIfTI, NRRD, MHA; what is odd about them becomes notices."""
