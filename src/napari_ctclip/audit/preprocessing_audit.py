"""Preprocessing audit: what a model will be shown of a study, before anything is encoded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.encoding.encoding import tokens_inside, window_shapes
from napari_ctclip.encoding.organ_crops import (
    Box,
    anatomy_labels,
    organ_boxes,
    padded_shape,
    plan_crops,
)
from napari_ctclip.models.interface import VisionLanguageModel
from napari_ctclip.preprocessing.specification import ModelInput
from napari_ctclip.regions.token_grid import token_regions
from napari_ctclip.scoring.readout import anatomy_model_of, cut_organs, organ_notices
from napari_ctclip.segmentation.body import find_body
from napari_ctclip.segmentation.working_grid import WorkingGrid

__all__ = ["AuditedCrop", "PreprocessingAudit", "WindowClipping", "audit"]

_SMALLEST_BODY = 0.02  # of the scan; less is a search that failed, and the whole scan is counted


@dataclass(frozen=True)
class WindowClipping:
    """What one window of HU loses.

    Attributes
    ----------
    low, high : float
        The window, HU.
    below, above : float
        The shares of the body that are set to its lowest and to its highest value.
    """

    low: float
    high: float
    below: float
    above: float


@dataclass(frozen=True)
class AuditedCrop:
    """One crop about organs, for models that are shown nothing else when they score organs.

    Attributes
    ----------
    box : Box
        The start and stop (z, y, x) in voxels of the prepared image.
    shape : tuple of int
        As the model gets it, padding included.
    organs : tuple of str
        The anatomies scored in it.
    """

    box: Box
    shape: tuple[int, int, int]
    organs: tuple[str, ...]

    @property
    def padding(self) -> float:
        """Share of the crop that is no scan."""
        held = np.prod([stop - start for start, stop in self.box])
        return 1.0 - float(held / np.prod(self.shape))


@dataclass(frozen=True, eq=False)
class PreprocessingAudit:
    """What will be done to a scan; axes of wanted things are those of the prepared image.

    Attributes
    ----------
    model_name : str
        The name of the model it was made for.
    orientation_found, orientation_wanted : str
        The axis codes of the file, and of the prepared image.
    obliquity_degrees : float
        How far the file's axes are turned from the patient's.
    spacing_found_mm, spacing_wanted_mm : tuple of float
        The spacing of the scan and of the prepared image, along the prepared image's axes.
    shape_found, shape_prepared : tuple of int
        The voxels along the prepared image's axes, before and after.
    channels : int
        The channels C of the prepared image.
    hu_range : tuple of int
        The lowest and highest HU of the scan.
    windows : tuple of WindowClipping
        The HU windows, one a channel.
    lost : float
        The share of the body that lies outside every window.
    body_found : bool
        Whether shares are of the body; of the whole scan if not.
    cropped : float
        The share of the scan that is not in the prepared image.
    padding : float
        The share of the prepared image that is no scan.
    token_shape : tuple of int
        The grid (d, h, w) of a heatmap.
    window_shapes : tuple of tuple of int
        The voxels (z, y, x) of each window that the prepared image is cut into for the encoder.
    crops : tuple of AuditedCrop
        The crops about organs; empty for a model that is shown the whole scan.
    cut_organs : tuple of str
        The anatomies that reach an edge of the scan.
    outside_crops : float
        The share of the scan in none of them; 0 without crops.
    model_input : ModelInput
        The prepared image itself: the same that is encoded.
    notices : tuple of Notice
        What may make this model's answers for this scan worse.
    """

    model_name: str
    orientation_found: str
    orientation_wanted: str
    obliquity_degrees: float
    spacing_found_mm: tuple[float, float, float]
    spacing_wanted_mm: tuple[float, float, float]
    shape_found: tuple[int, int, int]
    shape_prepared: tuple[int, int, int]
    channels: int
    hu_range: tuple[int, int]
    windows: tuple[WindowClipping, ...]
    lost: float
    body_found: bool
    cropped: float
    padding: float
    token_shape: tuple[int, int, int]
    window_shapes: tuple[tuple[int, int, int], ...]
    crops: tuple[AuditedCrop, ...]
    cut_organs: tuple[str, ...]
    outside_crops: float
    model_input: ModelInput
    notices: tuple[Notice, ...]

    @property
    def resampling(self) -> tuple[float, float, float]:
        """Prepared voxels a voxel of the scan, along the prepared image's axes."""
        z, y, x = np.divide(self.spacing_found_mm, self.spacing_wanted_mm).tolist()
        return z, y, x


def audit(study: Study, model: VisionLanguageModel) -> PreprocessingAudit:
    """Return what a model will be shown of a study; the scan is prepared as for encoding."""
    volume, wanted = study.volume, model.preprocessing
    prepared = wanted.prepare(volume)
    turned = volume.geometry.reoriented(volume.geometry.transform_to(prepared.geometry.axis_codes))
    hounsfield, body_found = _body_hounsfield(volume)
    crops, cut_organs = _organs(study, model, prepared)
    shape = prepared.geometry.shape
    draft = PreprocessingAudit(
        model_name=model.name,
        orientation_found=volume.stored_geometry.axis_codes,
        orientation_wanted=prepared.geometry.axis_codes,
        obliquity_degrees=volume.stored_geometry.obliquity_degrees,
        spacing_found_mm=turned.spacing_mm,
        spacing_wanted_mm=prepared.geometry.spacing_mm,
        shape_found=turned.shape,
        shape_prepared=shape,
        channels=len(prepared.image),
        hu_range=(int(volume.voxels.min()), int(volume.voxels.max())),
        windows=tuple(_clipping(hounsfield, *window) for window in wanted.windows_hu),
        lost=_lost(hounsfield, wanted.windows_hu),
        body_found=body_found,
        cropped=_cropped(volume, prepared),
        padding=1.0 - float(prepared.inside.mean()),
        token_shape=prepared.geometry.coarsened(model.patch_size).shape,
        window_shapes=window_shapes(shape, model.encoding_windows),
        crops=crops,
        cut_organs=cut_organs,
        outside_crops=_outside(crops, prepared.inside),
        model_input=prepared,
        notices=(),
    )
    return replace(draft, notices=_notices(draft, model))


def _body_hounsfield(volume: Volume) -> tuple[npt.NDArray[np.int16], bool]:
    """Return HU of the body, in blocks of about 2 mm, or of the whole scan where none is found."""
    grid = WorkingGrid.of(volume)
    body = find_body(grid)
    if body.mean() < _SMALLEST_BODY:
        return grid.hu.ravel(), False
    return grid.hu[body], True


def _clipping(hounsfield: npt.NDArray[np.int16], low: float, high: float) -> WindowClipping:
    below, above = float((hounsfield < low).mean()), float((hounsfield > high).mean())
    return WindowClipping(low, high, below, above)


def _lost(hounsfield: npt.NDArray[np.int16], windows: tuple[tuple[float, float], ...]) -> float:
    kept = np.zeros(hounsfield.shape, dtype=bool)
    for low, high in windows:
        kept |= (hounsfield >= low) & (hounsfield <= high)
    return 1.0 - float(kept.mean())


def _cropped(volume: Volume, prepared: ModelInput) -> float:
    whole = volume.voxels.size * volume.geometry.voxel_volume_ml
    kept = float(prepared.inside.sum()) * prepared.geometry.voxel_volume_ml
    return max(0.0, 1.0 - kept / whole)  # a grid that reaches past the last face keeps all


def _organs(
    study: Study, model: VisionLanguageModel, prepared: ModelInput
) -> tuple[tuple[AuditedCrop, ...], tuple[str, ...]]:
    """Return the crops about organs, and the organs that the scan itself cuts."""
    anatomy_model = anatomy_model_of(model)
    if study.organ_masks is None:
        return (), ()
    if anatomy_model is None:
        regions = token_regions(study.organ_masks, prepared.geometry, model.patch_size)
        inside = tokens_inside(prepared.inside, model.patch_size)
        return (), cut_organs(regions, inside)
    protocol, anatomies = anatomy_model.crop_protocol, anatomy_model.anatomies
    labels = anatomy_labels(study.organ_masks, prepared.geometry, anatomies)
    crops = tuple(
        AuditedCrop(
            crop.box,
            padded_shape(crop.box, protocol=protocol, patch_size=model.patch_size),
            tuple(anatomies[number - 1] for number in crop.organs),
        )
        for crop in plan_crops(labels, protocol)
    )
    # of the scan itself: padding comes after it
    ends = [
        int(np.flatnonzero(prepared.inside.any(axis=others))[-1]) + 1
        for others in ((1, 2), (0, 2), (0, 1))
    ]
    reach = protocol.border
    cut = tuple(
        anatomies[number - 1]
        for number, box in organ_boxes(labels).items()
        if any(a <= reach or b >= n - reach for (a, b), n in zip(box, ends, strict=True))
    )
    return crops, cut


def _outside(crops: tuple[AuditedCrop, ...], inside: npt.NDArray[np.bool_]) -> float:
    if not crops:
        return 0.0
    unseen = inside.copy()
    for crop in crops:
        z, y, x = (slice(*span) for span in crop.box)
        unseen[z, y, x] = False
    return float(unseen.sum() / inside.sum())


_AXES = {
    **dict.fromkeys("IS", "the body's length"),
    **dict.fromkeys("PA", "front to back"),
    **dict.fromkeys("LR", "left to right"),
}

_INVENTED = 2.0
"""Ours: more prepared voxels a voxel of the scan than this, and most of them are interpolated."""

_MERGED = 0.25
"""Ours: fewer than this, and a lesion of some voxels is averaged away."""

_SHORT_MM = 120.0
"""Ours: half a chest; less along an axis cuts the organs that findings are recognised by."""

_MOST_LOST = 0.2
"""Ours: of the body; fat, muscle and lung are each more than that."""

_MOST_CROPPED = 0.2
"""Ours: of the scan; the air around a chest alone is about that."""

_MOST_PADDING = 0.5
"""Ours: of the prepared image."""

_OBLIQUE_DEGREES = 5.0
"""Ours: a gantry tilt beyond it moves the far side of a slice by two centimetres."""


def _notices(audit: PreprocessingAudit, model: VisionLanguageModel) -> tuple[Notice, ...]:
    """Return the remarks on an audit, warnings first."""
    remarks = [*_about_grid(audit), *_about_values(audit), *_about_organs(audit, model)]
    return tuple(sorted(remarks, key=lambda notice: notice.severity == Severity.INFO))


def _about_grid(audit: PreprocessingAudit) -> list[Notice]:
    remarks = []
    for code, factor, found, wanted in zip(
        audit.orientation_wanted,
        audit.resampling,
        audit.spacing_found_mm,
        audit.spacing_wanted_mm,
        strict=True,
    ):
        along = f"along {_AXES[code]} the scan has {found:.2g} mm and the model expects {wanted:g}"
        if factor > _INVENTED:
            message = f"{along}: most of what it sees there is interpolated; small findings fade"
            remarks.append(Notice(Severity.WARNING, "coarser-than-model", message))
        elif factor < _MERGED:
            message = f"{along}: {1 / factor:.0f} voxels are averaged into one; fine detail is gone"
            remarks.append(Notice(Severity.INFO, "finer-than-model", message))
    extents = np.multiply(audit.spacing_found_mm, audit.shape_found)
    short = [
        f"{extent:.0f} mm along {_AXES[code]}"
        for code, extent in zip(audit.orientation_wanted, extents.tolist(), strict=True)
        if extent < _SHORT_MM
    ]
    if short:
        message = f"the field of view is small, {' and '.join(short)}: organs may be cut"
        remarks.append(Notice(Severity.WARNING, "small-field-of-view", message))
    if audit.obliquity_degrees > _OBLIQUE_DEGREES:
        message = (
            f"the scan's axes are turned by {audit.obliquity_degrees:.0f}° from the patient's; the "
            "model gets them by the nearest axis, still turned"
        )
        remarks.append(Notice(Severity.WARNING, "oblique", message))
    return remarks


def _about_values(audit: PreprocessingAudit) -> list[Notice]:
    remarks = []
    of = "the body" if audit.body_found else "the scan"
    if audit.lost > _MOST_LOST:
        message = (
            f"{audit.lost:.0%} of {of} lies outside every HU window of the model and looks all "
            "the same to it"
        )
        remarks.append(Notice(Severity.WARNING, "outside-windows", message))
    if not audit.body_found:
        message = "no body was found in the scan; shares are of the whole scan"
        remarks.append(Notice(Severity.WARNING, "no-body", message))
    if audit.cropped > _MOST_CROPPED:
        message = f"{audit.cropped:.0%} of the scan lies outside what the model is shown"
        remarks.append(Notice(Severity.WARNING, "cropped", message))
    shares = [audit.padding, *(crop.padding for crop in audit.crops)]
    if max(shares) > _MOST_PADDING:
        message = f"up to {max(shares):.0%} of an image the model gets is padding, not scan"
        remarks.append(Notice(Severity.WARNING, "mostly-padding", message))
    return remarks


def _about_organs(audit: PreprocessingAudit, model: VisionLanguageModel) -> list[Notice]:
    remarks = list(organ_notices(model, {organ for crop in audit.crops for organ in crop.organs}))
    if audit.cut_organs:
        names = ", ".join(anatomy_label(organ) for organ in audit.cut_organs)
        message = f"the scan cuts {names}: the model was trained on whole organs"
        remarks.append(Notice(Severity.WARNING, "organ-cut-by-scan", message))
    return remarks
