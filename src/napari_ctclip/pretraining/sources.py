"""Sources: which samples a recipe trains on."""

from __future__ import annotations

from napari_ctclip.preprocessing.specification import Preprocessing
from napari_ctclip.pretraining.method_recipe import MethodRecipe
from napari_ctclip.pretraining.samples import SampleSource
from napari_ctclip.pretraining.simulated_cohort import SimulatedCohort
from napari_ctclip.pretraining.simulated_montages import SimulatedMontages

__all__ = ["simulated_source"]


def simulated_source(recipe: MethodRecipe) -> SampleSource:
    """Return the simulated studies of a recipe."""
    data = recipe.data
    if recipe.model.kind == "open_clip":
        return SimulatedMontages(
            range(data.first_seed, data.first_seed + data.simulated_studies),
            preprocessing=Preprocessing(**recipe.preprocessing.model_dump()),
            montage=data.crop,
        )
    return SimulatedCohort(
        range(data.first_seed, data.first_seed + data.simulated_studies),
        preprocessing=Preprocessing(**recipe.preprocessing.model_dump()),
        anatomies=data.anatomies,
        crop=data.crop,
        flip=data.flip,
    )
