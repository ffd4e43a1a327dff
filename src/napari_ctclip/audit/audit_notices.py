"""Audit notices: what about a scan may make one model's answers worse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.models.interface import VisionLanguageModel
from napari_ctclip.scoring.readout import organ_notices

if TYPE_CHECKING:
    from napari_ctclip.audit.preprocessing_audit import PreprocessingAudit

__all__ = ["audit_notices"]

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
"""Ours: half a chest; less along an axis cuts the organs that findings are told by."""

_MOST_LOST = 0.2
"""Ours: of the body; fat, muscle and lung are each more than that."""

_MOST_CROPPED = 0.2
"""Ours: of the scan; the air around a chest alone is about that."""

_MOST_PADDING = 0.5
"""Ours: of the prepared image."""

_OBLIQUE_DEGREES = 5.0
"""Ours: a gantry tilt beyond it moves the far side of a slice by two centimetres."""


def audit_notices(audit: PreprocessingAudit, model: VisionLanguageModel) -> tuple[Notice, ...]:
    """Return the remarks on an audit, warnings first."""
    told = [*_about_grid(audit), *_about_values(audit), *_about_organs(audit, model)]
    return tuple(sorted(told, key=lambda notice: notice.severity == Severity.INFO))


def _about_grid(audit: PreprocessingAudit) -> list[Notice]:
    told = []
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
            told.append(Notice(Severity.WARNING, "coarser-than-model", message))
        elif factor < _MERGED:
            message = f"{along}: {1 / factor:.0f} voxels are averaged into one; fine detail is gone"
            told.append(Notice(Severity.INFO, "finer-than-model", message))
    extents = np.multiply(audit.spacing_found_mm, audit.shape_found)
    short = [
        f"{extent:.0f} mm along {_AXES[code]}"
        for code, extent in zip(audit.orientation_wanted, extents.tolist(), strict=True)
        if extent < _SHORT_MM
    ]
    if short:
        message = f"the field of view is small, {' and '.join(short)}: organs may be cut"
        told.append(Notice(Severity.WARNING, "small-field-of-view", message))
    if audit.obliquity_degrees > _OBLIQUE_DEGREES:
        message = (
            f"the scan's axes are turned by {audit.obliquity_degrees:.0f}° from the patient's; the "
            "model gets them by the nearest axis, still turned"
        )
        told.append(Notice(Severity.WARNING, "oblique", message))
    return told


def _about_values(audit: PreprocessingAudit) -> list[Notice]:
    told = []
    of = "the body" if audit.body_found else "the scan"
    if audit.lost > _MOST_LOST:
        message = (
            f"{audit.lost:.0%} of {of} lies outside every HU window of the model and looks all "
            "the same to it"
        )
        told.append(Notice(Severity.WARNING, "outside-windows", message))
    if not audit.body_found:
        message = "no body was found in the scan; shares are of the whole scan"
        told.append(Notice(Severity.WARNING, "no-body", message))
    if audit.cropped > _MOST_CROPPED:
        message = f"{audit.cropped:.0%} of the scan lies outside what the model is shown"
        told.append(Notice(Severity.WARNING, "cropped", message))
    shares = [audit.padding, *(crop.padding for crop in audit.crops)]
    if max(shares) > _MOST_PADDING:
        message = f"up to {max(shares):.0%} of an image the model gets is padding, not scan"
        told.append(Notice(Severity.WARNING, "mostly-padding", message))
    return told


def _about_organs(audit: PreprocessingAudit, model: VisionLanguageModel) -> list[Notice]:
    told = list(organ_notices(model, {organ for crop in audit.crops for organ in crop.organs}))
    if audit.cut_organs:
        names = ", ".join(anatomy_label(organ) for organ in audit.cut_organs)
        message = f"the scan cuts {names}: the model was trained on whole organs"
        told.append(Notice(Severity.WARNING, "organ-cut-by-scan", message))
    return told
