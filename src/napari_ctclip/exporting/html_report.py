"""HTML report: findings, scores and key slices as one file without scripts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from napari_ctclip.exporting.content import RESEARCH_USE
from napari_ctclip.exporting.pictures import Picture
from napari_ctclip.exporting.report_facts import (
    ANSWER_HEADINGS,
    FINDING_HEADINGS,
    MEANING,
    ReportFacts,
)
from napari_ctclip.io.export.nifti_writing import replacing

__all__ = ["write_html_report"]


def write_html_report(
    facts: ReportFacts, pictures: Iterable[Picture], path: Path, *, recipe: str
) -> Path:
    """Write the report; its pictures lie inside it, nothing is loaded from elsewhere.

    Parameters
    ----------
    facts : ReportFacts
        What it says.
    pictures : iterable of Picture
        Key slices.
    path : Path
        An ``.html`` file.
    recipe : str
        The lines that make its numbers again.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    folder = files("napari_ctclip.exporting").joinpath("templates")
    text = folder.joinpath("findings.html.jinja").read_text("utf-8")
    page = environment.from_string(text).render(
        facts=facts,
        finding_headings=FINDING_HEADINGS,
        answer_headings=ANSWER_HEADINGS,
        meaning=MEANING,
        research_use=RESEARCH_USE,
        pictures=[(picture.caption, _embedded(picture)) for picture in pictures],
        recipe=recipe,
    )
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def _embedded(picture: Picture) -> str:
    stream = BytesIO()
    picture.figure.savefig(stream, format="png")
    return "data:image/png;base64," + b64encode(stream.getvalue()).decode("ascii")
