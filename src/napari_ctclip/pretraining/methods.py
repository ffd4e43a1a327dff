"""Methods: the objective behind each recipe's name."""

from __future__ import annotations

from napari_ctclip.pretraining.objectives.anatomy_contrast import AnatomyContrast
from napari_ctclip.pretraining.objectives.clip import Clip
from napari_ctclip.pretraining.objectives.clip_ild_dapt import ClipIldDapt
from napari_ctclip.pretraining.objectives.ct_glip import CtGlip
from napari_ctclip.pretraining.objectives.lrclr import Lrclr
from napari_ctclip.pretraining.objectives.objective import Objective
from napari_ctclip.pretraining.objectives.organ_classification import OrganClassification
from napari_ctclip.pretraining.objectives.siglip import SigLip

__all__ = ["METHODS"]

METHODS: dict[str, type[Objective]] = {
    "clip": Clip,
    "siglip": SigLip,
    "ct_glip": CtGlip,
    "ct_glip_finetune": OrganClassification,
    "lrclr": Lrclr,
    "fvlm": AnatomyContrast,
    "clip_ild_dapt": ClipIldDapt,
}
