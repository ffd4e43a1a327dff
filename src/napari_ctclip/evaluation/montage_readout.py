"""Montage read-out: the one montage of a study that stands for it in an evaluation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.montage import Montage
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.encoding.work import Work
from napari_ctclip.evaluation.task_files import TaskSet
from napari_ctclip.regions.patches import PatchGrid, PatchPlan, lay_patches
from napari_ctclip.regions.ranking import best_patches, build_montage
from napari_ctclip.scoring.encoded_patches import embeds_patches, encode_study_patches
from napari_ctclip.scoring.patch_scores import PatchPrompts

if TYPE_CHECKING:
    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["MontageReadout", "study_montage"]

_SLICE_MM, _PIXEL_MM = 5.0, 1.0
_PICTURE_PIXELS = 224  # of the picture, for a model that does not say what it was trained on


@dataclass(frozen=True)
class MontageReadout:
    """Which montage a study is judged by.

    Attributes
    ----------
    ranked : bool
        Whether its patches are the best for the task's own prompts, as the model ranks them; if
        not, they are drawn at random, the same ones for every model.
    grid : tuple of int
        Rows and columns of tiles. Ours: 4 x 4.
    plan : PatchPlan
        Size, stride and organ of the patches.
    """

    ranked: bool = False
    grid: tuple[int, int] = (4, 4)
    plan: PatchPlan = field(default_factory=PatchPlan)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for a record of what was done."""
        return asdict(self)


def study_montage(
    model: VisionLanguageModel,
    study: Study,
    tasks: TaskSet,
    readout: MontageReadout,
    *,
    cache: FeatureCache,
    device: str = "cpu",
) -> Montage:
    """Return the montage of a study, its tiles from the head down.

    Parameters
    ----------
    model : VisionLanguageModel
        One of pictures.
    study : Study
        With masks of the plan's organ.
    tasks : TaskSet
        Its positive prompts rank the patches where ``readout`` says so.
    readout : MontageReadout
        Which patches, how many.
    cache, device
        For the patches' embeddings.

    Raises
    ------
    DataError
        If the model embeds no pictures, or no patch can be laid.
    """
    if not embeds_patches(model):
        raise DataError(
            f"{model.name!r} is a model of volumes and reads no montage; choose a model of "
            "pictures, e.g. starter-2d, or --read-out volume"
        )
    if readout.ranked:
        encoded = encode_study_patches(model, study, readout.plan, work=Work(cache, device))
        targets = tuple(text for task in tasks.tasks for text in task.positives)
        grid, scores = encoded.grid, encoded.scores(model, PatchPrompts(targets))
    else:
        grid = lay_patches(_common_grid(study.volume.geometry), study.organ_masks, readout.plan)
        scores = _random_scores(study.volume.content_hash(), grid)
    rows, columns = readout.grid
    side = max(getattr(model, "image_size", (_PICTURE_PIXELS,)))
    return build_montage(
        study.volume,
        best_patches(grid, scores, count=rows * columns),
        grid=readout.grid,
        tile_pixels=max(1, side // max(rows, columns)),
        order="z",
    )


def _common_grid(geometry: Geometry) -> Geometry:
    """Return where patches are laid whatever the model: slices of 5 mm, or the scan's own."""
    z, y, x = geometry.spacing_mm
    return geometry.resampled((max(z, _SLICE_MM), max(y, _PIXEL_MM), max(x, _PIXEL_MM)))


def _random_scores(content_hash: str, grid: PatchGrid) -> npt.NDArray[np.float32]:
    """Return scores (N,) that depend on the scan alone."""
    rng = np.random.default_rng(int(content_hash[:16], 16))
    return rng.random(len(grid), dtype=np.float32)
