"""Writing exports: each kind on its own, and what could not be written said plainly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_ctclip.core.anatomy import one_word
from napari_ctclip.core.errors import Cancelled, DataError, UnwritableFile
from napari_ctclip.core.finding import Finding
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.encoding.work import PLAIN, Work
from napari_ctclip.exporting.content import (
    EVERYDAY_KINDS,
    ExportContent,
    ExportKind,
    file_names,
    write_provenance,
)
from napari_ctclip.exporting.pictures import pictures
from napari_ctclip.exporting.report_page import report_facts, write_html_report, write_pdf_report
from napari_ctclip.exporting.reproduction_script import (
    ORGANS_FILE,
    SCRIPT_FILE,
    export_script,
    write_script,
)
from napari_ctclip.exporting.score_table import write_findings, write_scores
from napari_ctclip.figures.figures import DEFAULT_SIZE, write_figure
from napari_ctclip.io.export.exports import write_heatmap, write_organ_masks
from napari_ctclip.regions.painted_labels import draw_regions

__all__ = ["Exported", "finding_labels", "write_exports"]

_Part = Callable[[ExportContent, Path], tuple[list[Path], tuple[Notice, ...]]]


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    files : tuple of Path
        The files, in the order they were written.
    notices : tuple of Notice
        What could not be written, and why.
    """

    files: tuple[Path, ...]
    notices: tuple[Notice, ...]


def write_exports(
    content: ExportContent,
    folder: Path,
    *,
    kinds: Collection[ExportKind] = EVERYDAY_KINDS,
    figure_size: tuple[int, int] = DEFAULT_SIZE,
    work: Work = PLAIN,
) -> Exported:
    """Write kinds of files about a study, and ``provenance.json``.

    Parameters
    ----------
    content : ExportContent
        What is exported.
    folder : Path
        Made if it does not exist. Files of the same name are replaced, each whole or not at all.
    kinds : collection of ExportKind
        What to write.
    figure_size : tuple of int
        The width and height of a PNG, pixels.
    work : Work
        Each kind is a step.

    Raises
    ------
    DataError
        If nothing that was asked for can be written, or the folder takes no files.
    Cancelled
        If the work was stopped.
    """
    files: list[Path] = []
    notices: list[Notice] = []
    wanted = [kind for kind in ExportKind if kind in kinds]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for done, kind in enumerate(wanted):
            work.progress(done, len(wanted) + 1)
            if work.should_stop():
                raise Cancelled(f"stopped; {len(files)} files are whole in {folder}")
            written, remarks = _part(kind, figure_size)(content, folder)
            files += written
            notices += remarks
        if wanted and not files:
            raise DataError(" ".join(dict.fromkeys(notice.message for notice in notices)))
        files.append(write_provenance(content, folder / "provenance.json"))
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written to ({error.strerror or error}); "
            "make room or choose another folder. Nothing else is lost."
        ) from error
    return Exported(tuple(dict.fromkeys(files)), tuple(dict.fromkeys(notices)))


def _part(kind: ExportKind, figure_size: tuple[int, int]) -> _Part:
    def png(content: ExportContent, folder: Path) -> tuple[list[Path], tuple[Notice, ...]]:
        return _write_pictures(content, folder, size=figure_size)

    parts: dict[ExportKind, _Part] = {
        ExportKind.CSV: _write_tables,
        ExportKind.NIFTI: _write_nifti,
        ExportKind.PNG: png,
        ExportKind.SEG: _write_seg,
        ExportKind.PARAMETRIC_MAP: _write_maps,
        ExportKind.HTML: _write_html,
        ExportKind.PDF: _write_pdf,
        ExportKind.SCRIPT: _write_script,
    }
    return parts[kind]


def _write_tables(content: ExportContent, folder: Path) -> tuple[list[Path], tuple[Notice, ...]]:
    files = [write_scores(content.answers, folder / "scores.csv")] if content.answers else []
    if content.findings:
        files.append(write_findings(content.findings, folder / "findings.csv"))
    return files, ()


def _write_nifti(content: ExportContent, folder: Path) -> tuple[list[Path], tuple[Notice, ...]]:
    volume, files = content.study.volume, []
    names = file_names([answer.prompt.positive for answer in content.answers])
    for answer, name in zip(content.answers, names, strict=True):
        files.append(
            write_heatmap(answer.similarity_map, volume, folder / f"heatmap_{name}.nii.gz")
        )
    if content.study.organ_masks is not None:
        files.append(write_organ_masks(content.study.organ_masks, volume, folder / ORGANS_FILE))
    labels, notices = finding_labels(content.findings, volume.geometry)
    if labels is not None:
        files.append(write_organ_masks(labels, volume, folder / "findings.nii.gz"))
    if not files:
        reason = (
            "No NIfTI: no prompt has been asked, and there are neither organ masks nor findings "
            "with a region that were kept."
        )
        return files, (_left_out("nifti-left-out", reason),)
    return files, notices


def _write_pictures(
    content: ExportContent, folder: Path, *, size: tuple[int, int]
) -> tuple[list[Path], tuple[Notice, ...]]:
    files = []
    for picture in pictures(content, size=size):
        files.append(folder / f"{picture.name}.png")
        write_figure(picture.figure, files[-1])
    if not files:
        reason = "No PNG: no prompt has been asked, and every finding was rejected."
        return files, (_left_out("png-left-out", reason),)
    return files, ()


def _write_seg(content: ExportContent, folder: Path) -> tuple[list[Path], tuple[Notice, ...]]:
    from napari_ctclip.io.ct.dicom_source import dicom_source
    from napari_ctclip.io.export.dicom_objects import write_findings_seg, write_organs_seg

    volume, masks = content.study.volume, content.study.organ_masks
    files: list[Path] = []
    try:
        source = dicom_source(volume)
        if any(finding.region is not None for finding in content.kept):
            path = folder / "findings_seg.dcm"
            files.append(write_findings_seg(content.kept, volume, source, path))
        if masks is not None and masks.labels.any():
            files.append(write_organs_seg(masks, volume, source, folder / "organs_seg.dcm"))
    except UnwritableFile:
        raise  # nothing else can be written either
    except DataError as error:
        return files, (_left_out("dicom-left-out", str(error)),)
    if not files:
        reason = "No DICOM SEG: there are neither findings with a region nor organ masks."
        return files, (_left_out("dicom-seg-left-out", reason),)
    return files, ()


def _write_maps(content: ExportContent, folder: Path) -> tuple[list[Path], tuple[Notice, ...]]:
    from napari_ctclip.explanation.found_regions import origin_of
    from napari_ctclip.io.ct.dicom_source import dicom_source
    from napari_ctclip.io.export.dicom_objects import write_parametric_map

    if content.model is None or not content.answers:
        reason = "No DICOM Parametric Map: no prompt has been asked."
        return [], (_left_out("dicom-pm-left-out", reason),)
    files: list[Path] = []
    names = file_names([answer.prompt.positive for answer in content.answers])
    try:
        source = dicom_source(content.study.volume)
        for answer, name in zip(content.answers, names, strict=True):
            path = folder / f"heatmap_{name}_pm.dcm"
            origin = origin_of(content.model, answer.prompt)
            files.append(write_parametric_map(answer.similarity_map, source, path, origin=origin))
    except UnwritableFile:
        raise  # nothing else can be written either
    except DataError as error:
        return files, (_left_out("dicom-left-out", str(error)),)
    return files, ()


def _write_html(content: ExportContent, folder: Path) -> tuple[list[Path], tuple[Notice, ...]]:
    path, script = folder / "report.html", export_script(content).text
    return [write_html_report(report_facts(content), pictures(content), path, script=script)], ()


def _write_pdf(content: ExportContent, folder: Path) -> tuple[list[Path], tuple[Notice, ...]]:
    path, script = folder / "report.pdf", export_script(content).text
    return [write_pdf_report(report_facts(content), pictures(content), path, script=script)], ()


def _write_script(content: ExportContent, folder: Path) -> tuple[list[Path], tuple[Notice, ...]]:
    path, volume = folder / SCRIPT_FILE, content.study.volume
    return [*write_script(export_script(content), path, volume=volume)], ()


def _left_out(code: str, message: str) -> Notice:
    return Notice(Severity.WARNING, code, message)


def finding_labels(
    findings: Sequence[Finding], geometry: Geometry
) -> tuple[OrganMasks | None, tuple[Notice, ...]]:
    """Return the regions of kept findings, numbered as in ``findings``; None if there is none.

    The legend has the names as they were given, in any script, each after its number.
    A voxel has one label: where regions overlap the smaller keeps it, and a notice says so.
    """
    numbered = [(n, f.name, f.region) for n, f in enumerate(findings, start=1) if f.is_kept]
    regions = [(n, name, region) for n, name, region in numbered if region is not None]
    if not regions:
        return None, ()
    labels = np.zeros(geometry.shape, dtype=np.uint16)
    draw_regions(labels, {number: region for number, _, region in regions})
    overlaps = np.count_nonzero(labels) < sum(int(region.mask.sum()) for _, _, region in regions)
    # numbers keep names apart that read alike
    legend = {one_word(f"{number} {name.lower()}"): number for number, name, _ in regions}
    notices: tuple[Notice, ...] = ()
    if overlaps:
        message = (
            "Regions of findings overlap; a NIfTI label map holds one label a voxel, so the "
            "smaller region kept it. The DICOM SEG holds both."
        )
        notices = (Notice(Severity.WARNING, "overlapping-findings", message),)
    return OrganMasks(labels, legend, geometry, source="findings"), notices
