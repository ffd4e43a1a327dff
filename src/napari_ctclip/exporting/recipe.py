"""Recipe: a short Python script, and the command line, that make an export's numbers again."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from napari_ctclip.core.finding import Finding, FindingState
from napari_ctclip.core.region import Region
from napari_ctclip.exporting.content import ExportContent
from napari_ctclip.io.nifti_writing import replacing

__all__ = ["ORGANS_FILE", "drawn_regions", "needs_organ_file", "recipe_text", "write_recipe"]

ORGANS_FILE = "organs.nii.gz"

_HEAD = '''r"""Make the numbers of this export again: python recipe.py CT

CT is the scan, wherever it lies now; its content is checked. The prompts alone, as a command:

    {command}
"""

import sys
from pathlib import Path

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.study import Study
from napari_ctclip.findings_session import FindingsSession
from napari_ctclip.io import read_organ_masks, read_volume
from napari_ctclip.regions.quick_masks import quick_organ_masks
from napari_ctclip.scoring.found_regions import reshaped
from napari_ctclip.session import Session

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
answer = session.ask(Prompt({positive!r}, {negative!r}, {anatomy!r}))
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


def recipe_text(content: ExportContent) -> str:
    """Return the script; slow, it hashes the scan.

    It names no path of the scan: a folder may be called after the patient.
    """
    told = content.provenance()
    model = told["model"]
    text = _HEAD.format(
        command=_command(content),
        series=_series_of(content),
        content_hash=told["input"]["content_sha256"],
        device="cpu" if told["device"] == "none" else told["device"],
        masks=_masks(content),
    )
    if model is not None:
        text += _MODEL.format(source=content.model_source, weights=model["weights_sha256"])
    for answer in content.answers:
        prompt = answer.prompt
        text += _ASK.format(
            positive=prompt.positive, negative=prompt.negative, anatomy=prompt.anatomy
        )
    return text + _finding_lines(content)


def write_recipe(text: str, path: Path) -> Path:
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
        _region_file(number): finding.region
        for number, finding in enumerate(content.findings, start=1)
        if finding.is_kept and finding.region is not None and _is_drawn(finding)
    }


def _masks(content: ExportContent) -> str:
    if content.study.organ_masks is None:
        return "None"
    if needs_organ_file(content):
        return f'read_organ_masks(here / "{ORGANS_FILE}", volume).masks'
    return "quick_organ_masks(volume)"


def _series_of(content: ExportContent) -> str | None:
    key = content.study.volume.metadata.get("series")
    return None if key is None else str(key)


def _command(content: ExportContent) -> str:
    masks = "none" if content.study.organ_masks is None else "quick"
    parts = ["napari-ctclip score CT", "--out again", f"--model {quote(content.model_source)}"]
    parts.append(f"--masks {ORGANS_FILE if needs_organ_file(content) else masks}")
    series = _series_of(content)
    if series is not None:
        parts.append(f"--series {series}")
    for answer in content.answers:
        prompt = answer.prompt
        parts.append(f"--prompt {quote(prompt.positive)} --negative {quote(prompt.negative)}")
    return " \\\n        ".join(parts).replace('"""', "'''")


def _finding_lines(content: ExportContent) -> str:
    kept = [(n, f) for n, f in enumerate(content.findings, start=1) if f.is_kept]
    if not kept:
        return ""
    weights = "" if content.model is None else content.model.weights_hash()
    text = _FINDINGS
    for number, finding in kept:
        if finding.origin.weights_sha256 not in ("", weights):
            text += f"# finding {number} was made by model {finding.origin.model!r}: load it\n"
            continue
        if finding.prompt is not None:
            prompt = finding.prompt
            text += (
                f"session.ask(Prompt({prompt.positive!r}, {prompt.negative!r}, "
                f"{prompt.anatomy!r}))\n"
            )
        text += f"found = {_made_by(finding)}\n"
        if _is_drawn(finding):
            text += _DRAWN.format(file=_region_file(number), scores=_scores_of(finding))
        text += f"tell({number}, found)\n"
    return text


def _region_file(number: int) -> str:
    return f"region_{number}.nii.gz"


def _scores_of(finding: Finding) -> str:
    if finding.prompt is None or finding.similarity is None:
        return "answer=None"
    return f"answer=session.answer_to({finding.prompt.positive!r}), model=session.model"


def _is_drawn(finding: Finding) -> bool:
    """Return whether a person may have changed the region: it is read, not made again."""
    return finding.region is not None and (
        finding.state is FindingState.EDITED or finding.threshold is None
    )


def _made_by(finding: Finding) -> str:
    positive = "" if finding.prompt is None else finding.prompt.positive
    if finding.region is None or _is_drawn(finding):
        return f"findings.compute_point({finding.index}, positive={positive!r})"
    return (
        f"findings.compute_region({positive!r}, threshold={finding.threshold!r}, "
        f"seed={finding.index})"
    )
