"""Montage session: the open study's patches, ranked by prompts. No Qt; GUI and CLI are its callers.

Slow work comes in pairs as in :mod:`session`: ``compute_*`` may run on any thread, ``set_*`` takes
its result on the caller's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.montage import Montage
from napari_ctclip.core.study import Study
from napari_ctclip.models.runtime.device import resolved_device
from napari_ctclip.regions.ranking import MontageLayout, best_patches, build_montage
from napari_ctclip.scoring.provenance import provenance
from napari_ctclip.session.session import Session

if TYPE_CHECKING:
    from napari_ctclip.encoding.patch_encoding import PatchModel
    from napari_ctclip.encoding.work import Work
    from napari_ctclip.evaluation.montage_task import ClassifiedMontage
    from napari_ctclip.evaluation.task_files import TaskSet
    from napari_ctclip.models.interface import VisionLanguageModel
    from napari_ctclip.regions.patches import PatchPlan
    from napari_ctclip.scoring.encoded_patches import EncodedPatches
    from napari_ctclip.scoring.patch_scores import PatchPrompts
    from napari_ctclip.scoring.placed_patches import PlacedPatches

__all__ = ["READER", "MontageSession", "PreparedPatches", "RankedPatches"]

READER = "starter-2d"
"""Reads a montage whose patches a model of volumes has found."""


@dataclass(frozen=True, eq=False)
class PreparedPatches:
    """Patches as a model sees them, for one study: as pictures, or as regions of the volume."""

    study: Study
    model: VisionLanguageModel
    patches: EncodedPatches | PlacedPatches


@dataclass(frozen=True, eq=False)
class RankedPatches:
    """Scores (N,) of prepared patches for prompts."""

    prepared: PreparedPatches
    prompts: PatchPrompts
    scores: npt.NDArray[np.float32]


class MontageSession:
    """What is known of the open study's patches.

    Parameters
    ----------
    session : Session
        The session whose study it is; its model is used where it is one of pictures.
    model_name : str
        The model that finds the patches: the session's own, or one that is loaded. A model of
        volumes ranks a patch by its best token, a model of pictures as a picture.
    """

    patches_changed = Signal(object)
    """Other patches are encoded, or None."""
    montage_changed = Signal(object)
    """Another montage, or None."""
    classes_changed = Signal(object)
    """The shown montage is classified, or None: it is another one now."""

    def __init__(self, session: Session, *, model_name: str = "starter") -> None:
        self.session = session
        self.model_name = model_name
        self.layout = MontageLayout()
        self.montage: Montage | None = None
        self.prepared: PreparedPatches | None = None
        self.ranked: RankedPatches | None = None
        self.classified: ClassifiedMontage | None = None
        self._models: dict[str, VisionLanguageModel] = {}
        session.study_changed.connect(self.forget)
        session.masks_changed.connect(self.forget)

    # --- encode once ----------------------------------------------------------------------------

    def compute_patches(self, plan: PatchPlan, work: Work | None = None) -> PreparedPatches:
        """Return the open study's patches encoded, from the cache if they are there.

        Parameters
        ----------
        plan : PatchPlan
            Where they lie.
        work : Work, optional
            Made by :meth:`Session.work`, for progress and a stop on request.

        Raises
        ------
        NothingOpen
            If no study is open.
        Cancelled
            If the work was stopped.
        """
        from napari_ctclip.scoring.encoded_patches import embeds_patches, encode_study_patches
        from napari_ctclip.scoring.encoded_study import encode_study
        from napari_ctclip.scoring.placed_patches import place_patches

        study, encoding = self.session.open_study(), self.session.encoding
        model, work = self.loaded_model or self._load(self.model_name), work or self.session.work()
        if embeds_patches(model):
            encoded = encode_study_patches(model, study, plan, work=work)
            return PreparedPatches(study, model, encoded)
        if encoding is None or model is not self.session.model:
            encoding = encode_study(model, study, work=work)
        return PreparedPatches(study, model, place_patches(encoding, study, plan))

    def set_patches(self, prepared: PreparedPatches) -> None:
        """Take encoded patches; a ranking of others goes."""
        self.prepared = prepared
        if self.ranked is not None and self.ranked.prepared is not prepared:
            self.ranked = None
        self.patches_changed.emit(prepared.patches)

    # --- ask often ------------------------------------------------------------------------------

    def compute_ranking(
        self, prompts: PatchPrompts, *, of: PreparedPatches | None = None
    ) -> RankedPatches:
        """Return the scores of encoded patches, the session's own if none are given.

        Raises
        ------
        CtClipError
            If no patches are encoded yet.
        """
        prepared = of or self.prepared
        if prepared is None:
            raise CtClipError("no patches are encoded yet; find patches first")
        return RankedPatches(prepared, prompts, prepared.patches.scores(prepared.model, prompts))

    def set_ranking(self, ranked: RankedPatches) -> None:
        """Take scores and show the montage of the best."""
        self.ranked = ranked
        self._show()

    def set_layout(self, layout: MontageLayout) -> None:
        """Show the same patches in another number or grid; nothing is encoded or scored anew."""
        self.layout = layout
        if self.ranked is not None:
            self._show()

    def forget(self, *_: Any) -> None:
        """Drop patches and montage: the scan or its organs are others."""
        had = self.prepared is not None
        self.prepared = self.ranked = self.montage = None
        if had:
            self.patches_changed.emit(None)
            self.montage_changed.emit(None)
            self._set_classified(None)

    # --- the montage as a whole -----------------------------------------------------------------

    def compute_classes(self, tasks: TaskSet) -> ClassifiedMontage:
        """Return what the shown montage as one picture answers to a task set.

        Raises
        ------
        CtClipError
            If there is no montage.
        """
        from napari_ctclip.evaluation.montage_task import classify_montage

        montage, ranked = self.montage, self.ranked
        if montage is None or ranked is None:
            raise CtClipError("there is no montage yet; find patches first")
        model = self._reader(ranked.prepared.model)
        device = resolved_device(self.session.device)
        return classify_montage(cast("PatchModel", model), montage, tasks, device=device)

    def set_classes(self, classified: ClassifiedMontage) -> None:
        """Take the classes; those of a montage that is no longer shown are dropped."""
        if classified.montage is self.montage:
            self._set_classified(classified)

    def provenance(self) -> dict[str, Any]:
        """Return what the montage depends on.

        Raises
        ------
        CtClipError
            If there is no montage.
        """
        if self.ranked is None or self.montage is None:
            raise CtClipError("there is no montage yet; find patches first")
        prepared, prompts = self.ranked.prepared, self.ranked.prompts
        plan, layout = prepared.patches.grid.plan, self.layout
        device = resolved_device(self.session.device)
        known = provenance(prepared.study, prepared.model, device=device) | {
            "prompts": {
                "targets": list(prompts.targets),
                "controls": list(prompts.controls),
                "mode": prompts.mode,
                "pooling": prompts.pooling,
            },
            "patches": {
                "candidates": len(prepared.patches.grid),
                "scored_by": prepared.patches.scored_by,
                "size_mm": plan.size_mm,
                "stride_mm": plan.stride_mm or plan.size_mm / 2,
                "organ": plan.organ,
                "least_share": plan.least_share,
            },
            "montage": {
                "shown": len(self.montage.patches),
                "grid": list(self.montage.grid),
                "tile_pixels": layout.tile_pixels,
                "order": layout.order,
                "overlap": layout.spread.overlap,
                "apart_mm": layout.spread.apart_mm,
            },
        }
        if self.classified is None:
            return known
        reader = self._reader(prepared.model)
        return known | {"task": self.classified.tasks.name, "read_by": reader.name}

    # --- inside ---------------------------------------------------------------------------------

    def _show(self) -> None:
        assert self.ranked is not None, "only a ranking is shown"
        grid, study = self.ranked.prepared.patches.grid, self.ranked.prepared.study
        layout = self.layout
        best = best_patches(grid, self.ranked.scores, count=layout.count, spread=layout.spread)
        self.montage = build_montage(
            study.volume,
            best,
            grid=layout.grid,
            tile_pixels=layout.tile_pixels,
            order=layout.order,
        )
        self.montage_changed.emit(self.montage)
        self._set_classified(None)

    def _set_classified(self, classified: ClassifiedMontage | None) -> None:
        self.classified = classified
        self.classes_changed.emit(classified)

    @property
    def loaded_model(self) -> VisionLanguageModel | None:
        """The model that finds patches now; None: it must be loaded first."""
        own = self.session.model
        if own is not None and own.name == self.model_name:
            return own
        return self._models.get(self.model_name)

    def _reader(self, finder: VisionLanguageModel) -> VisionLanguageModel:
        """Return the model of pictures that reads a montage: its finder, where that is one."""
        from napari_ctclip.scoring.encoded_patches import embeds_patches

        return finder if embeds_patches(finder) else self._load(READER)

    def _load(self, name: str) -> VisionLanguageModel:
        if name not in self._models:
            self._models[name] = self.session.compute_model(name)
        return self._models[name]
