"""Report facts: what the HTML and the PDF report say in words, without a patient's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.finding import Finding
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import AS_TYPED
from napari_ctclip.exporting.content import ExportContent
from napari_ctclip.scoring.answer import Answer

__all__ = [
    "ANSWER_COLUMNS",
    "FINDING_COLUMNS",
    "MEANING",
    "ReportFacts",
    "report_facts",
]

FINDING_COLUMNS = (
    ("No.", 4), ("Finding", 19), ("State", 8), ("Organ", 11), ("Volume", 8), ("Mean HU", 8),
    ("Similarity", 9), ("Point (RAS mm)", 13), ("Note", 20),
)  # fmt: skip
"""Heading, and share of the width in percent."""

ANSWER_COLUMNS = (
    ("Prompt", 25), ("Contrasted with", 25), ("Region", 16), ("Similarity", 10),
    ("Probability", 11), ("Peak (RAS mm)", 13),
)  # fmt: skip
"""Heading, and share of the width in percent."""

MEANING = (
    "Similarity says how much a region looks like the prompt rather than like what it is "
    "contrasted with, to this model and relative to this scan. It is not a probability of disease."
)

_NONE = "–"
_MOST_ORGANS = 3  # of each prompt; scores.csv has them all


@dataclass(frozen=True)
class ReportFacts:
    """The words of a report.

    Attributes
    ----------
    scan, model, preprocessing : mapping of str to str
        The names and values of the facts.
    findings, answers : tuple of tuple of str
        The rows under ``FINDING_COLUMNS`` and ``ANSWER_COLUMNS``.
    probability_means : str
        What a probability was calibrated on.
    """

    scan: Mapping[str, str]
    model: Mapping[str, str]
    preprocessing: Mapping[str, str]
    findings: tuple[tuple[str, ...], ...]
    answers: tuple[tuple[str, ...], ...]
    probability_means: str


def report_facts(content: ExportContent) -> ReportFacts:
    """Return the words of a report; slow, it hashes the scan."""
    known = content.provenance()
    z, y, x = content.study.volume.geometry.spacing_mm
    depth, height, width = content.study.volume.geometry.shape
    scan = {
        "Size": f"{width} x {height} x {depth} voxels",
        "Spacing": f"{x:.2f} x {y:.2f} x {z:.2f} mm",
        "Organ masks": str(known["organ_masks"] or "none"),
        "SHA-256 of voxels and grid": str(known["input"]["content_sha256"]),
    }
    remarks = dict.fromkeys(notice.message for a in content.answers for notice in a.notices)
    if remarks:
        scan["Remarks"] = "; ".join(remarks)
    model = {} if known["model"] is None else _model_facts(known["model"], known["versions"])
    preprocessing = known["preprocessing"] or {}
    return ReportFacts(
        scan,
        model,
        {key.replace("_", " "): _plain(value) for key, value in preprocessing.items()},
        tuple(
            _finding_row(number, finding)
            for number, finding in enumerate(content.findings, start=1)
            if finding.is_kept
        ),
        tuple(row for answer in content.answers for row in _answer_rows(answer)),
        content.probability_means if content.answers else "",
    )


def _model_facts(model: Mapping[str, str], versions: Mapping[str, str]) -> dict[str, str]:
    return {
        "Model": model["name"],
        "SHA-256 of its weights": model["weights_sha256"],
        "napari-ctclip": versions["napari-ctclip"],
    }


def _finding_row(number: int, finding: Finding) -> tuple[str, ...]:
    x, y, z = finding.world_mm
    return (
        str(number),
        finding.name,
        str(finding.state),
        anatomy_label(finding.anatomy) if finding.anatomy else _NONE,
        _NONE if finding.volume_ml is None else f"{finding.volume_ml:.2f} ml",
        f"{finding.mean_hounsfield:.0f}",
        _NONE if finding.similarity is None else f"{finding.similarity:+.3f}",
        f"{x:.0f}, {y:.0f}, {z:.0f}",
        finding.note or _NONE,
    )


def _answer_rows(answer: Answer) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for score in (answer.whole, *answer.organs[:_MOST_ORGANS]):
        x, y, z = score.peak.world_mm
        rows.append(
            (
                _phrased(answer.prompt),
                answer.prompt.negative,
                anatomy_label(score.anatomy),
                f"{score.similarity:+.3f}",
                f"{score.probability:.2f}",
                f"{x:.0f}, {y:.0f}, {z:.0f}",
            )
        )
    return rows


def _phrased(prompt: Prompt) -> str:
    if prompt.templates == AS_TYPED:
        return prompt.positive
    return f"{prompt.positive} (template: {prompt.templates.name})"


def _plain(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return " · ".join(_plain(part) for part in value) if value else "none"
    return str(value)
