"""Report page: findings, scores and key slices laid out once, as HTML and as a PDF of it."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from textwrap import wrap

from jinja2 import Environment, StrictUndefined

from napari_ctclip.exporting.content import RESEARCH_USE
from napari_ctclip.exporting.pictures import Picture
from napari_ctclip.exporting.report_facts import (
    ANSWER_COLUMNS,
    FINDING_COLUMNS,
    MEANING,
    ReportFacts,
)
from napari_ctclip.io.export.nifti_writing import replacing

__all__ = ["write_html_report", "write_pdf_report"]

_PRINT_DPI = 150
_PRINT_CHARACTERS = 170
"""Of a script's line that fit across the page."""

_FONTS = (
    ("DejaVu Sans", "normal", "DejaVuSans.ttf"),
    ("DejaVu Sans", "bold", "DejaVuSans-Bold.ttf"),
    ("DejaVu Sans Mono", "normal", "DejaVuSansMono.ttf"),
)
"""Family, weight and file, of those that matplotlib brings: Latin, Greek, Cyrillic, Arabic."""


@dataclass(frozen=True)
class _Font:
    family: str
    weight: str
    source: str


def write_html_report(
    facts: ReportFacts, pictures: Iterable[Picture], path: Path, *, script: str
) -> Path:
    """Write the report as one file without scripts that loads nothing from elsewhere.

    Parameters
    ----------
    facts : ReportFacts
        What it says.
    pictures : iterable of Picture
        The key slices.
    path : Path
        An ``.html`` file.
    script : str
        The reproduction script.
    """
    page = _rendered(facts, [(p.caption, _png(p)) for p in pictures], script=script)
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def write_pdf_report(
    facts: ReportFacts, pictures: Iterable[Picture], path: Path, *, script: str
) -> Path:
    """Write the same page as a PDF, A4 across: tables and key slices are wide.

    The same report gives the same file, whenever it is written.

    Parameters
    ----------
    facts : ReportFacts
        What it says.
    pictures : iterable of Picture
        The key slices.
    path : Path
        A ``.pdf`` file.
    script : str
        The reproduction script.
    """
    from reportlab import rl_config
    from xhtml2pdf import pisa

    page = _rendered(
        facts,
        [(p.caption, _png(p, dpi=_PRINT_DPI)) for p in pictures],
        script=_folded(script),
        fonts=[_Font(family, weight, _font_source(file)) for family, weight, file in _FONTS],
    )
    rl_config.invariant = 1  # no date of creation
    made = BytesIO()
    with _quiet():
        pisa.CreatePDF(page, dest=made, encoding="utf-8")
    with replacing(path) as partial:
        partial.write_bytes(made.getvalue())
    return path


def _rendered(
    facts: ReportFacts,
    pictures: Sequence[tuple[str, str]],
    *,
    script: str,
    fonts: Sequence[_Font] = (),
) -> str:
    """Return the page; with fonts it is laid out for paper."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    folder = files("napari_ctclip.exporting").joinpath("templates")
    text = folder.joinpath("findings.html.jinja").read_text("utf-8")
    return environment.from_string(text).render(
        facts=facts,
        finding_columns=FINDING_COLUMNS,
        answer_columns=ANSWER_COLUMNS,
        meaning=MEANING,
        research_use=RESEARCH_USE,
        pictures=pictures,
        script=script,
        fonts=fonts,
    )


def _png(picture: Picture, *, dpi: int | None = None) -> str:
    stream = BytesIO()
    picture.figure.savefig(stream, format="png", dpi=dpi or "figure")
    return _data("image/png", stream.getvalue())


def _font_source(file: str) -> str:
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / file
    return _data("font/ttf", path.read_bytes())


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{b64encode(content).decode('ascii')}"


def _folded(script: str) -> str:
    """Return a script whose long lines go on in the next: paper has no scroll bar."""
    return "\n".join(
        part
        for line in script.splitlines()
        for part in wrap(
            line, _PRINT_CHARACTERS, subsequent_indent="        ", drop_whitespace=False
        )
        or [""]
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's remarks on CSS for screens, and on letters no font has, from the user."""
    log = logging.getLogger("xhtml2pdf")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
