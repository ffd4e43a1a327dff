"""Sources: the training of a recipe of a method, on simulated or prepared studies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.geometry import INTERNAL_AXES
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.preprocessing.specification import Preprocessing
from napari_ctclip.pretraining.building import assemble, objective_kind, objective_options
from napari_ctclip.pretraining.data.caption_findings import (
    CaptionReader,
    decomposed_entry,
    dictionary_texts,
)
from napari_ctclip.pretraining.data.draws import StudyDraws
from napari_ctclip.pretraining.data.montages import (
    SimulatedMontages,
    StoredMontages,
    montage_options,
)
from napari_ctclip.pretraining.data.prepared_set import PreparedSet, open_prepared_set
from napari_ctclip.pretraining.data.random_crops import CropOptions
from napari_ctclip.pretraining.data.samples import Need, SampleSource
from napari_ctclip.pretraining.data.simulated_cohort import SimulatedCohort, simulated_abnormalities
from napari_ctclip.pretraining.data.stored_studies import StoredStudies
from napari_ctclip.pretraining.data.study_choice import LUNG, ChosenStudy, choose_studies
from napari_ctclip.pretraining.loop import Training
from napari_ctclip.pretraining.recipe import Recipe
from napari_ctclip.pretraining.runs.launching import launch_fabric
from napari_ctclip.pretraining.runs.run_folder import SIMULATED
from napari_ctclip.reports.abnormality_dictionary import (
    AbnormalityDictionary,
    build_dictionary,
    default_dictionary,
)

__all__ = ["TrainingData", "method_training", "prepared_data", "simulated_data"]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a recipe is trained on.

    Attributes
    ----------
    source : SampleSource
        The source of the samples.
    abnormalities : mapping of str to sequence of (name, text)
        For ``building.assemble``.
    identity : mapping of str to plain values
        What it is; equal for the same data, without a path.
    notices : tuple of Notice
        What the user should know.
    """

    source: SampleSource
    abnormalities: Mapping[str, Sequence[tuple[str, str]]]
    identity: Mapping[str, Any]
    notices: tuple[Notice, ...] = field(default=())


def method_training(recipe: Recipe, data: Path | None = None) -> Training:
    """Return the training of one of the methods: model, objective, samples and ranks.

    Parameters
    ----------
    recipe : Recipe
        The recipe of what is trained.
    data : Path, optional
        A prepared set: its folder or its manifest; simulated studies if it is not given.

    Raises
    ------
    DataError
        If the recipe does not fit the data or the machine.
    CheckpointMismatch
        If a part of the model cannot be built, or does not fit what it starts from.
    """
    samples = simulated_data(recipe) if data is None else prepared_data(recipe, data)
    assembly = assemble(recipe, abnormalities=samples.abnormalities)
    draws = StudyDraws(samples.source, recipe.optimizer.batch, seed=recipe.loop.seed)
    launch = launch_fabric(recipe)
    return Training(recipe, assembly, draws, launch, samples.identity, samples.notices)


def simulated_data(recipe: Recipe) -> TrainingData:
    """Return the simulated studies of a recipe."""
    data = recipe.data
    preprocessing = Preprocessing(**recipe.preprocessing.model_dump())
    seeds = range(data.first_seed, data.first_seed + data.simulated_studies)
    source: SampleSource
    if recipe.model.kind == "open_clip":
        source = SimulatedMontages(
            seeds,
            spacing_mm=preprocessing.spacing_mm,
            options=montage_options(
                data.crop, preprocessing.windows_hu, tiles=data.tiles, patch_mm=data.patch_mm
            ),
        )
    else:
        source = SimulatedCohort(
            seeds,
            preprocessing=preprocessing,
            anatomies=data.anatomies,
            crop=data.crop,
            flip=data.flip,
        )
    abnormalities = simulated_abnormalities(data.anatomies)
    return TrainingData(source, abnormalities, SIMULATED)


def prepared_data(recipe: Recipe, path: Path) -> TrainingData:
    """Return the studies of a prepared set that a recipe can be trained on.

    Parameters
    ----------
    recipe : Recipe
        The recipe of what is trained.
    path : Path
        Folder that ``napari-ctclip-train prepare`` made, or its manifest.

    Raises
    ------
    DataError
        If set and recipe do not fit together, or no study has what the method needs.
    """
    prepared = open_prepared_set(path, split=recipe.data.split)
    preprocessing = Preprocessing(**recipe.preprocessing.model_dump())
    prepared.require(preprocessing, recipe.data.anatomies)
    kind = objective_kind(recipe)
    needs = kind.needs(objective_options(recipe, kind))
    _require_kind(prepared, recipe, needs)
    montages = recipe.model.kind == "open_clip" and not prepared.is_flat
    if montages and "lung sentences" not in needs:
        needs |= {"lung mask"}
    studies, notices = choose_studies(
        prepared, needs, (LUNG,) if montages else recipe.data.anatomies
    )
    if len(studies) < recipe.optimizer.batch:
        message = (
            f"a batch of {recipe.optimizer.batch} is more than the {len(studies)} studies: a study "
            "competes with itself; lower optimizer.batch"
        )
        notices += (Notice(Severity.WARNING, "batch-exceeds-studies", message),)
    dictionary = _dictionary(recipe, studies) if "findings" in needs else None
    abnormalities = (
        {} if dictionary is None else dictionary_texts(dictionary, recipe.data.anatomies)
    )
    source: SampleSource
    if montages:
        source = _montages(prepared, studies, recipe, needs)
    else:
        source = StoredStudies(
            prepared.store,
            studies,
            preprocessing=preprocessing,
            crops=CropOptions(
                recipe.data.anatomies, recipe.data.crop, recipe.data.flip, recipe.data.margin
            ),
            reader=CaptionReader(recipe.data.anatomies, dictionary),
        )
    identity = {
        "kind": "prepared",
        "split": recipe.data.split,
        "studies": len(studies),
        "texts": _hash(_described(study) for study in studies),
        "findings": _hash([json.dumps(abnormalities)]),
        "store": prepared.store.hash,
    }
    return TrainingData(source, abnormalities, identity, notices)


def _montages(
    prepared: PreparedSet,
    studies: Sequence[ChosenStudy],
    recipe: Recipe,
    needs: frozenset[Need],
) -> StoredMontages:
    data, windows = recipe.data, recipe.preprocessing.windows_hu
    views = 2 if "second view" in needs else int("lung mask" in needs)
    return StoredMontages(
        prepared.store,
        studies,
        montage_options(data.crop, windows, tiles=data.tiles, patch_mm=data.patch_mm),
        views=views,
        whole_report="report" in needs,
    )


def _require_kind(prepared: PreparedSet, recipe: Recipe, needs: frozenset[Need]) -> None:
    if prepared.is_flat and needs & {"masks", "lung mask", "lung sentences"}:
        raise DataError(
            f"{prepared.store.folder} holds radiographs, which have no organ masks; "
            f"{recipe.method} needs them: train lrclr, clip or siglip"
        )
    orientation = recipe.preprocessing.orientation
    if recipe.model.kind == "open_clip" and not prepared.is_flat and orientation != INTERNAL_AXES:
        raise DataError(
            f"montages are cut from axial slices, got preprocessing.orientation {orientation}; run "
            f"napari-ctclip-train prepare again with --orientation {INTERNAL_AXES} and another "
            "--out"
        )
    if prepared.is_flat and recipe.data.crop[0] != 1:
        raise DataError(
            f"data.crop is {list(recipe.data.crop)}; of a radiograph it is [1, rows, columns]"
        )


def _dictionary(recipe: Recipe, studies: Sequence[ChosenStudy]) -> AbnormalityDictionary:
    chosen = recipe.data.dictionary
    if chosen == "shipped":
        return default_dictionary()
    if chosen == "set":
        return build_dictionary(r for study in studies for r in decomposed_entry(study.entry))
    return AbnormalityDictionary.load(Path(chosen))


def _described(study: ChosenStudy) -> str:
    """Return what of a study a resumed run must meet again."""
    texts = {"study_id", "report", "findings", "impression", "organ_sentences", "organ_normal"}
    return f"{study.entry.model_dump_json(include=texts)} {study.shape} {study.box}"


def _hash(parts: Iterable[str]) -> str:
    digest = sha256()
    for part in parts:
        digest.update(part.encode())
    return digest.hexdigest()
