"""Recipe: a short Python script, and the command line, that make an export's numbers again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from shlex import quote

from napari_ctclip.core.finding import Finding, FindingState
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.exporting.content import ExportContent, file_names
from napari_ctclip.io.export.nifti_writing import replacing
from napari_ctclip.io.template_files import shipped_templates

__all__ = [
    "ORGANS_FILE",
    "code_of",
    "drawn_regions",
    "finding_lines",
    "is_drawn",
    "needs_organ_file",
    "opening_lines",
    "options_of",
    "own_templates",
    "region_file",
    "script_text",
    "template_options",
    "write_script",
]

ORGANS_FILE = "organs.nii.gz"

_HEAD = '''r"""Make the numbers of {what} again: python {script} CT

CT is the scan, wherever it lies now; its content is checked. {as_command}, as a command:

    {command}
"""

import sys
from pathlib import Path

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.study import Study
from napari_ctclip.core.template_set import TemplateSet
from napari_ctclip.session.findings_session import FindingsSession
from napari_ctclip.io import read_organ_masks, read_volume
from napari_ctclip.segmentation.quick_masks import quick_organ_masks
from napari_ctclip.explanation.found_regions import reshaped
from napari_ctclip.session.session import Session

here = Path(__file__).parent
volume = read_volume(sys.argv[1], series={series!r}, accept_suspicious=True).volume
assert volume.content_hash() == "{content_hash}", "this is another scan"
session = Session(device={device!r})
session.set_study(Study(volume, {masks}))
'''
_MODEL = """session.load_model({source!r})
assert session.model.weights_hash() == "{weights}", "these are other weights"
session.set_encoding(session.compute_encoding())
"""
_ASK = """
answer = session.ask({prompt})
for score in (answer.whole, *answer.organs):
    print("score", {positive!r}, score.anatomy, f"{{score.similarity:.6f}}", sep="\\t")
"""
_FINDINGS = """
findings = FindingsSession(session)


def tell(number, finding):
    volume_ml = "" if finding.volume_ml is None else f"{finding.volume_ml:.4f}"
    similarity = "" if finding.similarity is None else f"{finding.similarity:.6f}"
    hounsfield = f"{finding.mean_hounsfield:.2f}"
    print("finding", number, volume_ml, hounsfield, similarity, sep="\\t")


"""
_DRAWN = """drawn = read_organ_masks(here / "{file}", volume).masks.mask("region")
found = reshaped(found, session.study, Region.of(drawn), {scores})
"""


def script_text(content: ExportContent) -> str:
    """Return the script; slow, it hashes the scan.

    It names no path of the scan: a folder may be called after the patient.
    """
    text = opening_lines(
        content,
        what=("this export", "The prompts alone"),
        script="recipe.py",
        command=_command(content),
    )
    for answer in content.answers:
        text += _ASK.format(prompt=code_of(answer.prompt), positive=answer.prompt.positive)
    kept = [(n, f) for n, f in enumerate(content.findings, start=1) if f.is_kept]
    return text + finding_lines(content, kept)


def opening_lines(
    content: ExportContent,
    *,
    what: tuple[str, str],
    script: str,
    command: str,
    organs_file: str = ORGANS_FILE,
) -> str:
    """Return the lines that open scan and model; slow, it hashes the scan.

    Parameters
    ----------
    content : ExportContent
        Whose scan and model they open.
    what : tuple of str
        What is made again, and what of it the command makes.
    script : str
        Name of the script.
    command : str
        The command.
    organs_file : str
        Where organ masks lie that the script cannot make itself.
    """
    told = content.provenance()
    model = told["model"]
    text = _HEAD.format(
        what=what[0],
        as_command=what[1],
        script=script,
        command=command.replace('"""', "'''"),
        series=_series_of(content),
        content_hash=told["input"]["content_sha256"],
        device="cpu" if told["device"] == "none" else told["device"],
        masks=_masks(content, organs_file),
    )
    if model is not None:
        text += _MODEL.format(source=content.model_source, weights=model["weights_sha256"])
    return text


def write_script(text: str, path: Path) -> Path:
    """Write the script."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


def needs_organ_file(content: ExportContent) -> bool:
    """Return whether the organ masks must lie beside the recipe: it cannot make them itself."""
    masks = content.study.organ_masks
    return masks is not None and masks.source != "quick"


def drawn_regions(content: ExportContent) -> dict[str, Region]:
    """Return the regions a recipe reads rather than makes, by the names of their files."""
    return {
        region_file(number): finding.region
        for number, finding in enumerate(content.findings, start=1)
        if finding.is_kept and finding.region is not None and is_drawn(finding)
    }


def options_of(content: ExportContent, *, organs_file: str = ORGANS_FILE) -> list[str]:
    """Return the options by which a command opens the scan with the same organ masks."""
    made_here = "none" if content.study.organ_masks is None else "quick"
    options = [f"--masks {quote(organs_file) if needs_organ_file(content) else made_here}"]
    series = _series_of(content)
    return options if series is None else [*options, f"--series {series}"]


def finding_lines(
    content: ExportContent, numbered: Iterable[tuple[int, Finding]], *, stem: str = ""
) -> str:
    """Return the lines that make findings again and tell their numbers.

    Parameters
    ----------
    content : ExportContent
        Whose model made them.
    numbered : iterable of (int, Finding)
        Their numbers, and the findings.
    stem : str
        How the names of the files of their regions begin.
    """
    numbered = list(numbered)
    if not numbered:
        return ""
    weights = "" if content.model is None else content.model.weights_hash()
    text = _FINDINGS
    for number, finding in numbered:
        if finding.origin.weights_sha256 not in ("", weights):
            text += f"# finding {number} was made by model {finding.origin.model!r}: load it\n"
            continue
        if finding.prompt is not None and content.model is not None:
            text += f"session.ask({code_of(finding.prompt)})\n"
        text += f"found = {_made_by(finding)}\n"
        if is_drawn(finding):
            file = stem + region_file(number)
            text += _DRAWN.format(file=file, scores=_scores_of(finding))
        text += f"tell({number}, found)\n"
    return text


def region_file(number: int) -> str:
    """Return the name of the file of a finding's region."""
    return f"region_{number}.nii.gz"


def is_drawn(finding: Finding) -> bool:
    """Return whether a person may have changed the region: it is read, not made again."""
    by_hand = (FindingState.EDITED, FindingState.REJECTED)  # a rejected one may have been edited
    return finding.region is not None and (finding.state in by_hand or finding.threshold is None)


def own_templates(prompts: Iterable[Prompt], *, stem: str = "") -> dict[str, TemplateSet]:
    """Return the templates that are not shipped, by the names of their files beside a recipe."""
    asked = dict.fromkeys(prompt.templates for prompt in prompts)
    own = [templates for templates in asked if templates not in shipped_templates()]
    names = file_names([templates.name for templates in own])
    return {f"{stem}templates_{name}.toml": t for name, t in zip(names, own, strict=True)}


def code_of(prompt: Prompt) -> str:
    """Return the script's words for a prompt."""
    parts: list[object] = [prompt.positive, prompt.negative, prompt.anatomy]
    if prompt.templates != AS_TYPED:
        parts.append(prompt.templates)
    return f"Prompt({', '.join(map(repr, parts))})"


def _masks(content: ExportContent, organs_file: str) -> str:
    if content.study.organ_masks is None:
        return "None"
    if needs_organ_file(content):
        return f"read_organ_masks(here / {organs_file!r}, volume).masks"
    return "quick_organ_masks(volume)"


def _series_of(content: ExportContent) -> str | None:
    key = content.study.volume.metadata.get("series")
    return None if key is None else str(key)


def _command(content: ExportContent) -> str:
    parts = ["napari-ctclip score CT", "--out again", f"--model {quote(content.model_source)}"]
    parts += options_of(content)
    for answer in content.answers:
        prompt = answer.prompt
        parts.append(f"--prompt {quote(prompt.positive)} --negative {quote(prompt.negative)}")
    parts += template_options([answer.prompt for answer in content.answers])
    return " \\\n        ".join(parts)


def template_options(prompts: Sequence[Prompt], *, stem: str = "") -> list[str]:
    """Return ``--templates``: nothing as typed, once for all prompts, or once each."""
    files = {templates: file for file, templates in own_templates(prompts, stem=stem).items()}
    asked = [prompt.templates for prompt in prompts]
    if set(asked) <= {AS_TYPED}:
        return []
    named = [files.get(templates, templates.name) for templates in asked]
    return [f"--templates {quote(name)}" for name in (named if len(set(asked)) > 1 else named[:1])]


def _scores_of(finding: Finding) -> str:
    if finding.prompt is None or finding.similarity is None:
        return "answer=None"
    return f"answer=session.answer_to({finding.prompt.positive!r}), model=session.model"


def _made_by(finding: Finding) -> str:
    positive = "" if finding.prompt is None else finding.prompt.positive
    if finding.region is None or is_drawn(finding):
        return f"findings.compute_point({finding.index}, positive={positive!r})"
    return (
        f"findings.compute_region({positive!r}, threshold={finding.threshold!r}, "
        f"seed={finding.index})"
    )
