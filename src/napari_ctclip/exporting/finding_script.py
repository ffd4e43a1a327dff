"""Finding recipe: the command and the script that make the numbers of one finding again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

import numpy as np

from napari_ctclip.core.errors import CtClipError, DataError
from napari_ctclip.core.finding import Finding, FindingOrigin
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import TemplateSet
from napari_ctclip.exporting.content import ExportContent
from napari_ctclip.exporting.reproduction_script import (
    finding_lines,
    is_drawn,
    needs_organ_file,
    opening_lines,
    options_of,
    own_templates,
    region_file,
    template_options,
    write_script,
)
from napari_ctclip.io.export.exports import write_organ_masks
from napari_ctclip.io.template_files import write_templates

__all__ = ["FindingRecipe", "finding_recipe", "recipe_name", "write_finding_recipe"]


@dataclass(frozen=True, eq=False)
class FindingRecipe:
    """How one finding is made again.

    Attributes
    ----------
    number : int
        Of the finding in its table.
    text : str
        A Python script; the command stands in its first lines.
    companions : mapping of str to OrganMasks
        Label maps that must lie beside the script, by their names: a region that was drawn, and
        organ masks that come from a file.
    templates : mapping of str to TemplateSet
        Likewise, the prompt's templates where they are not shipped.
    """

    number: int
    text: str
    companions: dict[str, OrganMasks]
    templates: dict[str, TemplateSet]


def recipe_name(number: int) -> str:
    """Return what the script of a finding is called unless somebody chose a name."""
    return f"recipe_finding_{number}.py"


def finding_recipe(content: ExportContent, key: str, *, script: str = "") -> FindingRecipe:
    """Return the recipe of one finding, whatever its state; slow, it hashes the scan.

    Parameters
    ----------
    content : ExportContent
        What holds it.
    key : str
        Key of the finding.
    script : str
        Name of the script; by the finding's number if empty. What lies beside it begins alike:
        two scans may have their recipes in one folder.

    Raises
    ------
    CtClipError
        If it is not there, or another model than the loaded one made it.
    """
    number, finding = _numbered(content, key)
    script = script or recipe_name(number)
    stem = f"{Path(script).stem}_"
    content, finding = _needed(content, finding, number)
    organs_file = f"{stem}organs.nii.gz"
    text = opening_lines(
        content,
        what=(f"finding {number}", "The same"),
        script=script,
        command=_command(content, finding, number, stem=stem),
        organs_file=organs_file,
    )
    text += finding_lines(content, [(number, finding)], stem=stem)
    companions = {}
    if needs_organ_file(content) and content.study.organ_masks is not None:
        companions[organs_file] = content.study.organ_masks
    if is_drawn(finding) and finding.region is not None:
        grid = content.study.volume.geometry
        mask = finding.region.on_grid(grid).astype(np.uint8)
        drawn = OrganMasks(mask, {"region": 1}, grid, source="findings")
        companions[stem + region_file(number)] = drawn
    templates = own_templates(_prompts(finding), stem=stem)
    return FindingRecipe(number, text, companions, templates)


def write_finding_recipe(content: ExportContent, key: str, path: Path) -> tuple[Path, ...]:
    """Write the script and what must lie beside it; return the files, the script first.

    Raises
    ------
    CtClipError
        If there is no such finding, or another model than the loaded one made it.
    DataError
        If the folder takes no files; older ones of these names are then as they were.
    """
    recipe = finding_recipe(content, key, script=path.name)
    volume = content.study.volume
    try:
        beside = [
            write_organ_masks(masks, volume, path.with_name(name))
            for name, masks in recipe.companions.items()
        ]
        beside += [
            write_templates([templates], path.with_name(name))
            for name, templates in recipe.templates.items()
        ]
        return (write_script(recipe.text, path), *beside)
    except OSError as error:
        raise DataError(
            f"{path}: the recipe could not be written ({error.strerror or error}); make room or "
            "choose another folder. Nothing in the window is lost."
        ) from error


# --- inside ---------------------------------------------------------------------------------------


def _numbered(content: ExportContent, key: str) -> tuple[int, Finding]:
    for number, finding in enumerate(content.findings, start=1):
        if finding.key == key:
            return number, finding
    raise CtClipError("this finding is not in the table any more; choose another one")


def _needed(content: ExportContent, finding: Finding, number: int) -> tuple[ExportContent, Finding]:
    """Return only what the numbers depend on: no model where none was asked."""
    if finding.similarity is None and (finding.region is None or is_drawn(finding)):
        study = replace(content.study, organ_masks=None)
        return replace(content, study=study, model=None), replace(finding, origin=FindingOrigin())
    loaded = "" if content.model is None else content.model.weights_hash()
    if finding.origin.weights_sha256 != loaded:
        now = "no model is" if content.model is None else "another one is"
        raise CtClipError(
            f"finding {number} was made by model {finding.origin.model!r} and {now} loaded: load "
            "it in the Model tab, then take the recipe"
        )
    return content, finding


def _prompts(finding: Finding) -> list[Prompt]:
    return [] if finding.prompt is None else [finding.prompt]


def _command(content: ExportContent, finding: Finding, number: int, *, stem: str) -> str:
    """Return the command; places in the file's RAS world, where exports give them too."""
    parts = ["napari-ctclip measure CT"]
    if is_drawn(finding):
        parts.append(f"--region {quote(stem + region_file(number))}")
    else:
        parts.append("--at=" + ",".join(f"{mm:.2f}" for mm in finding.world_mm))
        if finding.region is not None:
            parts.append(f"--cut {finding.threshold!r}")
    if content.model is not None and finding.prompt is not None:
        prompt = finding.prompt
        parts.append(f"--prompt {quote(prompt.positive)} --negative {quote(prompt.negative)}")
        if prompt.anatomy:
            parts.append(f"--anatomy {quote(prompt.anatomy)}")
        parts.append(f"--model {quote(content.model_source)}")
        parts += template_options(_prompts(finding), stem=stem)
    parts += options_of(content, organs_file=f"{stem}organs.nii.gz")
    return " \\\n        ".join(parts)
