"""Study: what one visit gives us."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_ctclip.core.errors import GeometryMismatch
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.report import Report
from napari_ctclip.core.volume import Volume

__all__ = ["Study"]


@dataclass(frozen=True, eq=False)
class Study:
    """A CT volume with, where there are, its organ masks and its report.

    Attributes
    ----------
    volume : Volume
        The scan.
    organ_masks : OrganMasks or None
        On the grid of ``volume``.
    report : Report or None
        The radiologist's text.
    study_id : str
        A name that says nothing about the patient.
    """

    volume: Volume
    organ_masks: OrganMasks | None = None
    report: Report | None = None
    study_id: str = ""

    def __post_init__(self) -> None:
        masks = self.organ_masks
        if masks is not None and not masks.geometry.coincides_with(self.volume.geometry):
            raise GeometryMismatch(
                f"organ masks {masks.geometry.shape} at {_millimetres(masks.geometry.spacing_mm)} "
                f"do not lie on the CT {self.volume.geometry.shape} at "
                f"{_millimetres(self.volume.geometry.spacing_mm)}; give masks made for this scan"
            )

    def with_masks(self, masks: OrganMasks | None) -> Study:
        """Return the study with other organ masks.

        Raises
        ------
        GeometryMismatch
            If they do not lie on the volume's grid.
        """
        return replace(self, organ_masks=masks)


def _millimetres(spacing_mm: tuple[float, float, float]) -> str:
    return " x ".join(f"{s:.2f}" for s in spacing_mm) + " mm"
