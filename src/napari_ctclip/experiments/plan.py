"""ExperimentPlan: which methods are compared, and the one recipe that they share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from napari_ctclip.pretraining.recipe import (
    DataTable,
    LoopTable,
    ModelTable,
    OptimizerTable,
    PreprocessingTable,
    Recipe,
    Table,
)
from napari_ctclip.pretraining.recipe_files import read_table
from napari_ctclip.simulation import FINDINGS

__all__ = ["Arm", "CohortTable", "EvaluationTable", "ExperimentPlan", "Reading", "load_plan"]

_EARLIER = "examination"  # the evaluation in plans of earlier versions

Reading = Literal["whole", "organ"]
"""What a method answers from: its embedding of the whole scan, or that of the queried organ."""


class Arm(Table):
    """One method, or one variant of it.

    Attributes
    ----------
    name : str
        In tables, and of its folder.
    method : str
        Name of the recipe's objective.
    kind : str
        ``model.kind`` that the method needs.
    reads : {"whole", "organ"}
        What it answers from, as its paper has it.
    head, objective : table
        Where the arm differs from the others.
    """

    name: str
    method: str
    kind: Literal["towers", "organ_query", "local_regions"]
    reads: Reading
    head: dict[str, Any] = Field(default_factory=dict)
    objective: dict[str, Any] = Field(default_factory=dict)


class ModelPart(Table):
    """What every arm's model has in common; see ``recipe.ModelTable``."""

    embedding_width: int
    image: dict[str, Any]
    image_start: str = ""
    text_folder: str = "starter"
    text_locked: bool = False


class CohortTable(Table):
    """How studies are simulated, those of the evaluation too.

    Attributes
    ----------
    prevalence : dict of str to float
        The probability of each finding, independently of the others; findings that are not named
        do not occur and are not queried.
    report : {"whole", "impression"}
        What of a report those arms read that read reports.
    shift : bool
        Whether a study lies anywhere in its crop; once and for all where a locked tower sees it
        ahead.
    """

    prevalence: dict[str, float]
    report: Literal["whole", "impression"] = "whole"
    shift: bool = False

    @field_validator("prevalence")
    @classmethod
    def _can_be_simulated(cls, value: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(value) - set(FINDINGS))
        if unknown or not value or not all(0 < share < 1 for share in value.values()):
            raise ValueError(
                f"expected probabilities between 0 and 1 of findings among {', '.join(FINDINGS)}; "
                f"unknown: {', '.join(unknown) or 'none'}"
            )
        return value


class EvaluationTable(Table):
    """Studies that no arm is trained on.

    Attributes
    ----------
    valid, test : int
        How many: thresholds and learning curves come from the first, every other number from the
        second.
    curve_studies : int
        Of the validation studies, how many make the learning curves.
    curve_every : int
        Steps between two points of a learning curve.
    replicates : int
        Resamples behind an interval.
    """

    valid: int = Field(ge=1)
    test: int = Field(ge=1)
    curve_studies: int = Field(ge=1)
    curve_every: int = Field(ge=1)
    replicates: int = Field(default=1000, ge=100)


class ExperimentPlan(Table):
    """An experiment with equal compute: one recipe, many methods.

    Attributes
    ----------
    model, preprocessing, data, optimizer, loop
        The recipe of every arm; see ``recipe``.
    cohort : CohortTable
        What is simulated.
    evaluation : EvaluationTable
        The studies they are scored on; plans of earlier versions call it ``examination``.
    arms : list of Arm
        The methods.
    pairs : list of (first, second)
        Names of arms whose difference is tested.
    """

    model: ModelPart
    preprocessing: PreprocessingTable
    data: DataTable
    optimizer: OptimizerTable
    loop: LoopTable
    cohort: CohortTable
    evaluation: EvaluationTable
    arms: tuple[Arm, ...]
    pairs: tuple[tuple[str, str], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _in_present_form(cls, values: Any) -> Any:
        """Read a plan of an earlier version, which calls the evaluation an examination."""
        if not isinstance(values, dict) or _EARLIER not in values:
            return values
        present = {key: value for key, value in values.items() if key != _EARLIER}
        return present | {"evaluation": values[_EARLIER] | values.get("evaluation", {})}

    @model_validator(mode="after")
    def _names_fit(self) -> ExperimentPlan:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names) or not names:
            raise ValueError(f"expected arms with different names, got {names}")
        unknown = sorted({name for pair in self.pairs for name in pair} - set(names))
        if unknown:
            raise ValueError(f"pairs name arms that are not there: {', '.join(unknown)}")
        return self

    def recipe_of(self, arm: Arm) -> Recipe:
        """Return the recipe of an arm."""
        common = self.model.model_dump()
        return Recipe(
            method=arm.method,
            model=ModelTable(kind=arm.kind, name=arm.name, head=arm.head, **common),
            preprocessing=self.preprocessing,
            data=self.data,
            objective=arm.objective,
            optimizer=self.optimizer,
            loop=self.loop,
        )


def load_plan(file: Path, *, overrides: Sequence[str] = ()) -> ExperimentPlan:
    """Return the plan of a TOML file; see ``recipe_files.read_table``."""
    present = [
        "evaluation." + text.removeprefix(f"{_EARLIER}.")
        if text.startswith(f"{_EARLIER}.")
        else text
        for text in overrides
    ]
    return read_table(file, ExperimentPlan, overrides=present)
