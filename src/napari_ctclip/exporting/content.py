"""Export content: what is exported, held still while it is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.finding import Finding
from napari_ctclip.core.prompt import slug
from napari_ctclip.core.study import Study
from napari_ctclip.io.files import write_text
from napari_ctclip.models.runtime.device import resolved_device
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.provenance import describe_prompt, provenance
from napari_ctclip.session.session import Session

if TYPE_CHECKING:
    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = [
    "EVERYDAY_KINDS",
    "RESEARCH_USE",
    "ExportContent",
    "ExportKind",
    "file_names",
    "write_provenance",
]

RESEARCH_USE = "Research use only, not a medical device."


class ExportKind(StrEnum):
    """What can be written."""

    CSV = "csv"
    NIFTI = "nifti"
    PNG = "png"
    SEG = "dicom-seg"
    PARAMETRIC_MAP = "dicom-pm"
    HTML = "html"
    PDF = "pdf"
    SCRIPT = "script"


EVERYDAY_KINDS = (ExportKind.CSV, ExportKind.NIFTI, ExportKind.PNG)
"""What is written when nothing else is asked for."""


@dataclass(frozen=True, eq=False)
class ExportContent:
    """A study with what was asked and found, whatever the session turns to meanwhile.

    Attributes
    ----------
    study : Study
        The scan and its organ masks.
    model : VisionLanguageModel or None
        What answered.
    answers : tuple of Answer
        The answers, in the order they were asked.
    findings : tuple of Finding
        All findings, the rejected ones too.
    device : str
        Where the model computed.
    model_source : str
        What the model was loaded by: a registered name or its folder.
    """

    study: Study
    model: VisionLanguageModel | None
    answers: tuple[Answer, ...]
    findings: tuple[Finding, ...]
    device: str
    model_source: str

    @classmethod
    def of(
        cls, session: Session, findings: Sequence[Finding] = (), *, model_source: str = "starter"
    ) -> ExportContent:
        """Return what a session holds now.

        Raises
        ------
        CtClipError
            If there is nothing to export.
        """
        if session.study is None or not (session.answers or findings):
            raise CtClipError("Nothing to export yet: ask a prompt first, or add a finding.")
        return cls(
            session.study,
            session.model,
            session.answers,
            tuple(findings),
            session.device,
            model_source,
        )

    @property
    def kept(self) -> tuple[Finding, ...]:
        """The findings that were not rejected."""
        return tuple(finding for finding in self.findings if finding.is_kept)

    @property
    def probability_means(self) -> str:
        """What a probability was calibrated on, in words."""
        calibration = None if self.model is None else self.model.calibration
        return calibration.source if calibration else "softmax against the negatives"

    def provenance(self) -> dict[str, Any]:
        """Return what every number depends on; slow, it hashes the scan."""
        prompts = [describe_prompt(answer.prompt) for answer in self.answers]
        device = "none" if self.model is None else resolved_device(self.device)
        return provenance(self.study, self.model, device=device) | {"prompts": prompts}


def file_names(texts: Sequence[str]) -> list[str]:
    """Return one file-name part a text; two that read alike get a number."""
    names: list[str] = []
    for text in texts:
        name, number = slug(text), 2
        while name in names:
            name = f"{slug(text)}-{number}"
            number += 1
        names.append(name)
    return names


def write_provenance(content: ExportContent, path: Path) -> Path:
    """Write what every number depends on as JSON."""
    return write_text(path, json.dumps(content.provenance(), indent=2) + "\n")
