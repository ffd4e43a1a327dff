"""Study check: audit, cost and picture of a study for a model, in the words the user reads."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from napari_ctclip.audit.cost import EncodingCost, estimate_cost
from napari_ctclip.audit.preprocessing_audit import PreprocessingAudit, audit
from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.study import Study
from napari_ctclip.figures.model_view import model_view_png
from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["CheckRow", "StudyCheck", "check_study"]

_GIGA = 1e9


@dataclass(frozen=True)
class CheckRow:
    """A line of the table: what, as it is in the scan, and what the model gets."""

    what: str
    found: str
    used: str


@dataclass(frozen=True, eq=False)
class StudyCheck:
    """What a model will see of a study, and what encoding it takes.

    Attributes
    ----------
    audit : PreprocessingAudit
        The former.
    cost : EncodingCost
        The latter.
    picture : bytes
        The prepared image as a PNG.
    """

    audit: PreprocessingAudit
    cost: EncodingCost
    picture: bytes

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What may make answers worse or end the work."""
        return self.audit.notices + self.cost.notices

    def rows(self) -> list[CheckRow]:
        """Return the table that the command line and the window show."""
        return [*_preprocessing_rows(self.audit), *_cost_rows(self.cost)]


def check_study(
    model: VisionLanguageModel, study: Study, *, device: torch.device | str = "cpu"
) -> StudyCheck:
    """Return what encoding a study with a model will do; takes a few seconds."""
    audited = audit(study, model)
    cost = estimate_cost(model, audited, device=device)
    prepared = audited.model_input
    picture = model_view_png(
        prepared.image,
        prepared.geometry,
        prepared.inside,
        channel_names=[f"HU {w.low:g} to {w.high:g}" for w in audited.windows],
        crops=[crop.box for crop in audited.crops],
        title=f"What {audited.model_name} sees: axes {audited.orientation_wanted}, padding in red",
    )
    return StudyCheck(audited, cost, picture)


def _preprocessing_rows(audit: PreprocessingAudit) -> list[CheckRow]:
    turned = f", turned {audit.obliquity_degrees:.1f}°" if audit.obliquity_degrees > 0.1 else ""
    factors = " x ".join(f"{factor:.2f}" for factor in audit.resampling)
    rows = [
        CheckRow("orientation", audit.orientation_found + turned, audit.orientation_wanted),
        CheckRow(
            "spacing, by axis",
            _millimetres(audit.spacing_found_mm),
            f"{_millimetres(audit.spacing_wanted_mm)}; voxels x {factors}",
        ),
        CheckRow("voxels, by axis", _by(audit.shape_found), _by(audit.shape_prepared)),
        CheckRow("cropped away", "", f"{audit.cropped:.1%} of the scan"),
        CheckRow("padding", "", f"{audit.padding:.1%} of the image"),
    ]
    of = "body" if audit.body_found else "scan"
    low, high = audit.hu_range
    for window in audit.windows:
        rows.append(
            CheckRow(
                "HU window",
                f"{low} to {high}",
                f"{window.low:g} to {window.high:g}; of the {of} {window.below:.1%} below, "
                f"{window.above:.1%} above",
            )
        )
    rows.append(CheckRow("in no HU window", "", f"{audit.lost:.1%} of the {of}"))
    for crop in audit.crops:
        organs = ", ".join(anatomy_label(organ) for organ in crop.organs)
        rows.append(
            CheckRow("organ crop", organs, f"{_by(crop.shape)}; {crop.padding:.1%} padding")
        )
    count = len(audit.window_shapes)
    rows.append(CheckRow("windows", "", f"{count} of {_by(audit.window_shapes[0])} voxels"))
    rows.append(CheckRow("tokens, by axis", "", f"{_by(audit.token_shape)} in the heatmap"))
    if audit.crops:
        rows.append(CheckRow("in no organ crop", "", f"{audit.outside_crops:.1%} of the scan"))
    return rows


def _cost_rows(cost: EncodingCost) -> list[CheckRow]:
    work = f"{cost.flop / _GIGA:,.0f} GFLOP" if cost.flop else "no operations that count"
    scaled = "operations" if cost.flop else "voxels"
    how = f"from a timed window of {_by(cost.timed_shape)}, by {scaled}"
    return [
        CheckRow("passes", "", f"{cost.passes} of the image encoder; {work}"),
        CheckRow(
            "memory",
            f"{cost.free_bytes / _GIGA:.1f} GB free on {cost.device}",
            f"at least {cost.memory_bytes / _GIGA:.2f} GB",
        ),
        CheckRow("time", "", f"about {_seconds(cost.seconds)} on {cost.device} ({how})"),
    ]


def _millimetres(spacing_mm: tuple[float, float, float]) -> str:
    return " x ".join(f"{s:.3g}" for s in spacing_mm) + " mm"


def _by(shape: tuple[int, int, int]) -> str:
    return " x ".join(str(n) for n in shape)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
