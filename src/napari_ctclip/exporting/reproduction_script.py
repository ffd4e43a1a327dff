"""Reproduction script: the Python, and the command, that give the numbers of an export again.

A script uses the public interface of the package alone, and names no path of the scan: a folder
may be called after the patient.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote

import numpy as np

from napari_ctclip.core.errors import CtClipError, DataError
from napari_ctclip.core.finding import Finding, FindingOrigin, FindingState
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.core.volume import Volume
from napari_ctclip.exporting.content import ExportContent, file_names
from napari_ctclip.io.export.exports import write_organ_masks
from napari_ctclip.io.files import write_text
from napari_ctclip.io.template_files import shipped_templates, write_templates

__all__ = [
    "ORGANS_FILE",
    "SCRIPT_FILE",
    "ReproductionScript",
    "export_script",
    "finding_script",
    "finding_script_name",
    "write_script",
]

SCRIPT_FILE, ORGANS_FILE = "reproduce.py", "organs.nii.gz"

_HEAD = '''r"""Reproduce the numbers of {what}: python {name} CT

CT is the scan, wherever it lies now; its content is checked. {as_command}, as a command:

    {command}
"""

import sys
from pathlib import Path

import napari_ctclip as ctclip

here = Path(__file__).parent
volume = ctclip.read_volume(sys.argv[1], series={series!r}, accept_suspicious=True)
assert volume.content_hash() == "{content_hash}", "this is another scan"
study = ctclip.Study(volume, {masks})
'''
_MODEL = """encoded = ctclip.encode(study, {source!r}, device={device!r})
assert encoded.model.weights_hash() == "{weights}", "these are other weights"
"""
_ASK = """
answer = encoded.ask({prompt})
for score in (answer.whole, *answer.organs):
    print("score", {positive!r}, score.anatomy, f"{{score.similarity:.6f}}", sep="\\t")
"""
_REPORT = """

def report(number, finding):
    volume_ml = "" if finding.volume_ml is None else f"{finding.volume_ml:.4f}"
    similarity = "" if finding.similarity is None else f"{finding.similarity:.6f}"
    hounsfield = f"{finding.mean_hounsfield:.2f}"
    print("finding", number, volume_ml, hounsfield, similarity, sep="\\t")


"""
_DRAWN = """drawn = ctclip.read_organ_masks(here / "{file}", volume).mask("region")
finding = ctclip.drawn_finding(finding, study, ctclip.Region.of(drawn), answer={answer})
"""


@dataclass(frozen=True, eq=False)
class ReproductionScript:
    """A script, and what must lie beside it.

    Attributes
    ----------
    text : str
        The script; the command stands in its first lines.
    masks : mapping of str to OrganMasks
        The label maps by the names of their files: regions that a person drew, and organ masks that
        a script cannot make itself.
    templates : mapping of str to TemplateSet
        The templates of prompts that are not shipped with the package, likewise.
    """

    text: str
    masks: dict[str, OrganMasks] = field(default_factory=dict)
    templates: dict[str, TemplateSet] = field(default_factory=dict)


def export_script(content: ExportContent) -> ReproductionScript:
    """Return the script of all answers and kept findings; slow, it hashes the scan."""
    prompts = [answer.prompt for answer in content.answers]
    text = _opening(
        content,
        what=("this export", "The prompts alone"),
        name=SCRIPT_FILE,
        command=_score_command(content, prompts),
    )
    for prompt in prompts:
        text += _ASK.format(prompt=_code_of(prompt), positive=prompt.positive)
    kept = [(n, f) for n, f in enumerate(content.findings, start=1) if f.is_kept]
    text += _finding_lines(content, kept)
    return ReproductionScript(text, _masks_beside(content, kept), _own_templates(prompts))


def finding_script_name(number: int) -> str:
    """Return what the script of a finding is called unless somebody chose a name."""
    return f"reproduce_finding_{number}.py"


def finding_script(content: ExportContent, key: str, *, name: str = "") -> ReproductionScript:
    """Return the script of one finding, whatever its state; slow, it hashes the scan.

    Parameters
    ----------
    content : ExportContent
        What holds the finding.
    key : str
        The key of the finding.
    name : str
        The name of the script; by the finding's number if empty. The names of the files beside it
        begin like it: two scans may have their scripts in one folder.

    Raises
    ------
    CtClipError
        If the finding is not there, or another model than the loaded one made it.
    """
    number, finding = _numbered(content, key)
    name = name or finding_script_name(number)
    stem = f"{Path(name).stem}_"
    content, finding = _needed(content, finding, number)
    prompts = [] if finding.prompt is None else [finding.prompt]
    text = _opening(
        content,
        what=(f"finding {number}", "The same"),
        name=name,
        command=_measure_command(content, finding, number, stem=stem),
        stem=stem,
    )
    text += _finding_lines(content, [(number, finding)], stem=stem)
    masks = _masks_beside(content, [(number, finding)], stem=stem)
    return ReproductionScript(text, masks, _own_templates(prompts, stem=stem))


def write_script(script: ReproductionScript, path: Path, *, volume: Volume) -> tuple[Path, ...]:
    """Write a script and what must lie beside it; return the files, the script first.

    Raises
    ------
    DataError
        If the folder takes no files; older ones of these names are then as they were.
    """
    try:
        beside = [
            write_organ_masks(masks, volume, path.with_name(name))
            for name, masks in script.masks.items()
        ]
        beside += [
            write_templates([templates], path.with_name(name))
            for name, templates in script.templates.items()
        ]
        write_text(path, script.text)
    except OSError as error:
        raise DataError(
            f"{path}: the reproduction script could not be written ({error.strerror or error}); "
            "make room or choose another folder. Nothing else is lost."
        ) from error
    return path, *beside


# --- the script -----------------------------------------------------------------------------------


def _opening(
    content: ExportContent, *, what: tuple[str, str], name: str, command: str, stem: str = ""
) -> str:
    """Return the lines that read the scan and encode it; slow, they hash the scan.

    Parameters
    ----------
    content : ExportContent
        The export whose scan and model they read.
    what : tuple of str
        What is reproduced, and what of it the command reproduces.
    name : str
        The name of the script.
    command : str
        The command.
    stem : str
        How the names of the files beside the script begin.
    """
    known = content.provenance()
    text = _HEAD.format(
        what=what[0],
        as_command=what[1],
        name=name,
        command=command.replace('"""', "'''"),
        series=_series_of(content),
        content_hash=known["input"]["content_sha256"],
        masks=_masks_code(content, stem + ORGANS_FILE),
    )
    if known["model"] is not None:
        text += _MODEL.format(
            source=content.model_source,
            device=known["device"],
            weights=known["model"]["weights_sha256"],
        )
    return text


def _finding_lines(
    content: ExportContent, numbered: Sequence[tuple[int, Finding]], *, stem: str = ""
) -> str:
    """Return the lines that make findings again and print their numbers.

    Parameters
    ----------
    content : ExportContent
        The export whose model made them.
    numbered : sequence of (int, Finding)
        The numbers of the findings, and the findings.
    stem : str
        How the names of the files of their regions begin.
    """
    if not numbered:
        return ""
    weights = "" if content.model is None else content.model.weights_hash()
    text = _REPORT
    for number, finding in numbered:
        if finding.origin.weights_sha256 not in ("", weights):
            text += f"# finding {number} was made by model {finding.origin.model!r}: load it\n"
            continue
        is_asked = finding.prompt is not None and content.model is not None
        if finding.prompt is not None and is_asked:
            text += f"answer = encoded.ask({_code_of(finding.prompt)})\n"
        answer = "answer" if is_asked else "None"
        if finding.region is None or _is_drawn(finding):
            text += f"finding = ctclip.point_finding(study, {finding.index}, answer={answer})\n"
        else:
            text += (
                f"finding = ctclip.heatmap_finding({answer}, threshold={finding.threshold!r}, "
                f"index={finding.index})\n"
            )
        if _is_drawn(finding):
            scored = "None" if finding.similarity is None else answer
            text += _DRAWN.format(file=stem + _region_file(number), answer=scored)
        text += f"report({number}, finding)\n"
    return text


def _code_of(prompt: Prompt) -> str:
    """Return the Python of a prompt."""
    parts = [repr(prompt.positive), repr(prompt.negative), repr(prompt.anatomy)]
    if prompt.templates != AS_TYPED:
        parts.append(f"ctclip.{prompt.templates!r}")
    return f"ctclip.Prompt({', '.join(parts)})"


def _masks_code(content: ExportContent, organs_file: str) -> str:
    if content.study.organ_masks is None:
        return "None"
    if _needs_organ_file(content):
        return f"ctclip.read_organ_masks(here / {organs_file!r}, volume)"
    return "ctclip.organ_masks(volume)"


# --- what lies beside it --------------------------------------------------------------------------


def _masks_beside(
    content: ExportContent, numbered: Iterable[tuple[int, Finding]], *, stem: str = ""
) -> dict[str, OrganMasks]:
    beside: dict[str, OrganMasks] = {}
    if _needs_organ_file(content) and content.study.organ_masks is not None:
        beside[stem + ORGANS_FILE] = content.study.organ_masks
    grid = content.study.volume.geometry
    for number, finding in numbered:
        if finding.region is not None and _is_drawn(finding):
            mask = finding.region.on_grid(grid).astype(np.uint8)
            drawn = OrganMasks(mask, {"region": 1}, grid, source="findings")
            beside[stem + _region_file(number)] = drawn
    return beside


def _needs_organ_file(content: ExportContent) -> bool:
    """Return whether the organ masks must lie beside the script: it cannot make them itself."""
    masks = content.study.organ_masks
    return masks is not None and masks.source != "quick"


def _is_drawn(finding: Finding) -> bool:
    """Return whether a person may have changed the region: it is read, not made again."""
    by_hand = (FindingState.EDITED, FindingState.REJECTED)  # a rejected one may have been edited
    return finding.region is not None and (finding.state in by_hand or finding.threshold is None)


def _region_file(number: int) -> str:
    return f"region_{number}.nii.gz"


def _own_templates(prompts: Iterable[Prompt], *, stem: str = "") -> dict[str, TemplateSet]:
    """Return the templates that are not shipped, by the names of their files."""
    used = dict.fromkeys(prompt.templates for prompt in prompts)
    own = [templates for templates in used if templates not in shipped_templates()]
    names = file_names([templates.name for templates in own])
    return {f"{stem}templates_{name}.toml": t for name, t in zip(names, own, strict=True)}


# --- the command ----------------------------------------------------------------------------------


def _score_command(content: ExportContent, prompts: Sequence[Prompt]) -> str:
    parts = ["napari-ctclip score CT", "--out again", f"--model {quote(content.model_source)}"]
    parts += _scan_options(content)
    parts += [f"--prompt {quote(p.positive)} --negative {quote(p.negative)}" for p in prompts]
    parts += _template_options(prompts)
    return " \\\n        ".join(parts)


def _measure_command(content: ExportContent, finding: Finding, number: int, *, stem: str) -> str:
    """Return the command; points are in the file's RAS world, as in exports."""
    parts = ["napari-ctclip measure CT"]
    if _is_drawn(finding):
        parts.append(f"--region {quote(stem + _region_file(number))}")
    else:
        parts.append("--at=" + ",".join(f"{mm:.2f}" for mm in finding.world_mm))
        if finding.region is not None:
            parts.append(f"--threshold {finding.threshold!r}")
    if content.model is not None and finding.prompt is not None:
        prompt = finding.prompt
        parts.append(f"--prompt {quote(prompt.positive)} --negative {quote(prompt.negative)}")
        if prompt.anatomy:
            parts.append(f"--anatomy {quote(prompt.anatomy)}")
        parts.append(f"--model {quote(content.model_source)}")
        parts += _template_options([prompt], stem=stem)
    parts += _scan_options(content, stem=stem)
    return " \\\n        ".join(parts)


def _scan_options(content: ExportContent, *, stem: str = "") -> list[str]:
    """Return the options by which a command reads the scan with the same organ masks."""
    made_here = "none" if content.study.organ_masks is None else "quick"
    masks = quote(stem + ORGANS_FILE) if _needs_organ_file(content) else made_here
    series = _series_of(content)
    return [f"--masks {masks}", *([] if series is None else [f"--series {series}"])]


def _template_options(prompts: Sequence[Prompt], *, stem: str = "") -> list[str]:
    """Return ``--templates``: nothing as typed, once for all prompts, or once each."""
    files = {templates: file for file, templates in _own_templates(prompts, stem=stem).items()}
    used = [prompt.templates for prompt in prompts]
    if set(used) <= {AS_TYPED}:
        return []
    named = [files.get(templates, templates.name) for templates in used]
    return [f"--templates {quote(name)}" for name in (named if len(set(used)) > 1 else named[:1])]


def _series_of(content: ExportContent) -> str | None:
    key = content.study.volume.metadata.get("series")
    return None if key is None else str(key)


# --- one finding ----------------------------------------------------------------------------------


def _numbered(content: ExportContent, key: str) -> tuple[int, Finding]:
    for number, finding in enumerate(content.findings, start=1):
        if finding.key == key:
            return number, finding
    raise CtClipError("this finding is not in the table any more; choose another one")


def _needed(content: ExportContent, finding: Finding, number: int) -> tuple[ExportContent, Finding]:
    """Return only what the numbers depend on: no model where none was queried."""
    if finding.similarity is None and (finding.region is None or _is_drawn(finding)):
        study = replace(content.study, organ_masks=None)
        return replace(content, study=study, model=None), replace(finding, origin=FindingOrigin())
    loaded = "" if content.model is None else content.model.weights_hash()
    if finding.origin.weights_sha256 != loaded:
        now = "no model is" if content.model is None else "another one is"
        raise CtClipError(
            f"finding {number} was made by model {finding.origin.model!r} and {now} loaded; load "
            "that model first"
        )
    return content, finding
