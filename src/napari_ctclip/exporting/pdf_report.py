"""PDF report: the same as the HTML one, on A4 pages, by matplotlib."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from napari_ctclip.exporting.content import RESEARCH_USE
from napari_ctclip.exporting.pictures import Picture
from napari_ctclip.exporting.report_facts import (
    ANSWER_HEADINGS,
    FINDING_HEADINGS,
    MEANING,
    ReportFacts,
)
from napari_ctclip.io.export.nifti_writing import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["write_pdf_report"]

_PAGE_INCHES = (11.69, 8.27)  # A4, the long side across: tables and key slices are wide
_LEFT, _TOP, _BOTTOM = 0.05, 0.94, 0.06
_POINTS = 8.5
_LINE = 1.5 * _POINTS / 72 / _PAGE_INCHES[1]
_CHARACTERS = 150  # of the letters above that fit across, table columns together
_FINDING_WIDTHS = (4, 28, 10, 18, 11, 9, 11, 19, 40)
_ANSWER_WIDTHS = (34, 34, 24, 12, 12, 20)
_SAYS_NOTHING_OF_WHEN = {"CreationDate": None}  # the same report is the same file


def write_pdf_report(
    facts: ReportFacts, pictures: Iterable[Picture], path: Path, *, recipe: str
) -> Path:
    """Write the report as text pages, a page a picture, and the recipe.

    Parameters
    ----------
    facts : ReportFacts
        What it says.
    pictures : iterable of Picture
        Key slices.
    path : Path
        A ``.pdf`` file.
    recipe : str
        The lines that make its numbers again.
    """
    from matplotlib.backends.backend_pdf import PdfPages

    details = {"Title": "CT-CLIP findings", "Creator": "napari-ctclip"} | _SAYS_NOTHING_OF_WHEN
    made = BytesIO()  # matplotlib ends a file on a full disk with an error of zlib, not of the disk
    with _letters_as_text(), PdfPages(made, metadata=details) as pdf:
        for page in _text_pages(_opening(facts)):
            pdf.savefig(page)
        for picture in pictures:
            pdf.savefig(picture.figure, dpi=150)
        for page in _text_pages(_closing(facts, recipe)):
            pdf.savefig(page)
    with replacing(path) as partial:
        partial.write_bytes(made.getvalue())  # not its buffer: Python 3.12.1 may crash on it
    return path


def _letters_as_text() -> Any:
    """Let letters stay text that can be searched and copied (42)."""
    from matplotlib import rc_context

    return rc_context({"pdf.fonttype": 42})


def _opening(facts: ReportFacts) -> list[_Line]:
    lines = [_Line("CT-CLIP findings", 2.0, bold=True), _Line(""), _Line(RESEARCH_USE, bold=True)]
    lines += [_Line(""), _Line("Findings", 1.4, bold=True)]
    if facts.findings:
        lines += _table(FINDING_HEADINGS, facts.findings, _FINDING_WIDTHS)
    else:
        lines.append(_Line("None was kept."))
    if facts.answers:
        meaning = f"{MEANING} Probabilities: {facts.probability_means}."
        lines += [_Line(""), _Line("Prompts", 1.4, bold=True)]
        lines += [_Line(part) for part in wrap(meaning, _CHARACTERS)]
        lines += _table(ANSWER_HEADINGS, facts.answers, _ANSWER_WIDTHS)
    return lines


def _closing(facts: ReportFacts, recipe: str) -> list[_Line]:
    lines = [_Line("Scan, model, preprocessing", 1.4, bold=True)]
    for group in (facts.scan, facts.model, facts.preprocessing):
        lines += _pairs(group)
    lines += [_Line(""), _Line("Make the numbers again", 1.4, bold=True)]
    return lines + [
        _Line(part)
        for line in recipe.splitlines()
        for part in wrap(line, _CHARACTERS, subsequent_indent="        ", drop_whitespace=False)
        or [""]
    ]


class _Line:
    """One line of a text page."""

    def __init__(self, text: str, size: float = 1.0, *, bold: bool = False) -> None:
        self.text, self.size, self.bold = text, size, bold


def _pairs(group: Mapping[str, str]) -> list[_Line]:
    return [
        _Line(f"{name if n == 0 else '':<28}{part}")
        for name, value in group.items()
        for n, part in enumerate(wrap(value, _CHARACTERS - 28) or [""])
    ]


def _table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> list[_Line]:
    """Return a table as lines of equally wide letters; long cells take several lines."""
    lines = [_Line(_joined(headings, widths), bold=True)]
    for row in rows:
        cells = [wrap(cell, width - 1) or [""] for cell, width in zip(row, widths, strict=True)]
        for n in range(max(len(cell) for cell in cells)):
            parts = [cell[n] if n < len(cell) else "" for cell in cells]
            lines.append(_Line(_joined(parts, widths)))
    return lines


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _text_pages(lines: Sequence[_Line]) -> Iterable[Figure]:
    """Yield pages that hold the lines, top to bottom."""
    page, height = _blank_page(), _TOP
    for line in lines:
        if height - _LINE * line.size < _BOTTOM:
            yield page
            page, height = _blank_page(), _TOP
        page.text(
            _LEFT,
            height,
            line.text,
            parse_math=False,  # what a user typed: a dollar sign is no formula
            family="DejaVu Sans Mono",
            size=_POINTS * line.size,
            weight="bold" if line.bold else "normal",
            va="top",
        )
        height -= _LINE * line.size
    yield page


def _blank_page() -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=_PAGE_INCHES)
