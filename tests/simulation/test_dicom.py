"""Simulated studies as DICOM files."""

from pathlib import Path

import numpy as np
import pydicom

from napari_ctclip.simulation import simulate_study
from napari_ctclip.simulation.dicom import write_dicom_series


def test_a_dicom_series_gives_back_voxels_and_places(tmp_path: Path) -> None:
    study = simulate_study(2, spacing_mm=(8.0, 4.0, 3.0), findings=[]).study
    paths = write_dicom_series(study, tmp_path / "series")
    volume = study.volume
    assert len(paths) == volume.voxels.shape[0]
    for index in (0, 3, len(paths) - 1):
        instance = pydicom.dcmread(paths[index])
        hu = instance.pixel_array * float(instance.RescaleSlope) + float(instance.RescaleIntercept)
        assert np.array_equal(hu, np.maximum(volume.voxels[index], -1024))
        left, posterior, superior = (float(v) for v in instance.ImagePositionPatient)
        world = volume.geometry.index_to_world((index, 0, 0))
        assert np.allclose([-left, -posterior, superior], world, atol=1e-4)
        assert [float(v) for v in instance.PixelSpacing] == [4.0, 3.0]
        assert instance.PatientName == "Simulated^Study"
    uids = {pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in paths}
    assert len(uids) == len(paths)
