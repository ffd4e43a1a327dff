"""What an encoded scan says of a region, a report, words, patches and findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from napari_ctclip.api.encoded import Answer, EncodedVolume
from napari_ctclip.api.scans import Scan, progress_bar, study_of, warn_of
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.finding import Finding
from napari_ctclip.core.montage import Montage, Patch
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.region import Region
from napari_ctclip.core.roi import Roi
from napari_ctclip.core.study import Study

if TYPE_CHECKING:
    from napari_ctclip.explanation.roi_reading import RoiReading
    from napari_ctclip.session.follow_up import FollowUp
    from napari_ctclip.session.montage_session import MontageSession
    from napari_ctclip.session.report_reading import ReadReport
    from napari_ctclip.session.word_reading import WordMap

__all__ = [
    "drawn_finding",
    "follow_up",
    "heatmap_finding",
    "montage",
    "patches",
    "point_finding",
    "probe",
    "read_report",
    "read_words",
]

AnyScan: TypeAlias = Scan | EncodedVolume
Index: TypeAlias = tuple[int, int, int]


def probe(
    scan: AnyScan,
    roi: Roi | Region | None = None,
    *,
    at_mm: Sequence[float] | None = None,
    radius_mm: float = 10.0,
    prompts: Iterable[Prompt | str] = (),
) -> RoiReading:
    """Return what a region of interest of a scan is, and which findings fit it.

    Parameters
    ----------
    scan : Volume, Study or EncodedVolume
        The scan; findings are ranked only where it is encoded.
    roi : Roi or Region, optional
        The region, e.g. ``Roi.organ("lung_left")``.
    at_mm : sequence of float, optional
        The centre of a sphere instead, in the RAS world of the file, mm.
    radius_mm : float
        The radius of that sphere.
    prompts : iterable of Prompt or str
        Prompts that are ranked beside those of the dictionary.

    Raises
    ------
    DataError
        If not exactly one of ``roi`` and ``at_mm`` is given, the region lies outside the scan, or
        its masks lack the organ.
    """
    from napari_ctclip.explanation.roi_reading import read_roi
    from napari_ctclip.regions.drawn_region import roi_region

    study = _study_of(scan)
    if at_mm is not None and roi is None:
        z, y, x = study.volume.geometry.world_to_index(at_mm).tolist()
        roi = Roi.sphere((z, y, x), radius_mm)
    elif at_mm is not None or roi is None:
        raise DataError("expected either roi or at_mm, the centre of a sphere; give one")
    region = roi if isinstance(roi, Region) else roi_region(roi, study)
    asked = [Prompt(p) if isinstance(p, str) else p for p in prompts]
    if not isinstance(scan, EncodedVolume):
        return read_roi(study, region, asked=asked)
    ready = scan._session.ready()
    return read_roi(study, region, encoded=(ready.model, ready.encoding), asked=asked)


def read_report(scan: EncodedVolume, text: str) -> ReadReport:
    """Return what the scan says to every sentence of a report. Nothing is stored.

    Parameters
    ----------
    scan : EncodedVolume
        The scan.
    text : str
        The report, in English.
    """
    from napari_ctclip.session.report_reading import read_report as read

    found = read(scan._session, text)
    warn_of(found.notices)
    return found


def read_words(scan: EncodedVolume, prompt: Prompt | str, words: Iterable[int]) -> WordMap:
    """Return where chosen words of a prompt are in the scan.

    Parameters
    ----------
    scan : EncodedVolume
        The scan.
    prompt : Prompt or str
        The whole text.
    words : iterable of int
        The chosen words, counted from 0.

    Raises
    ------
    DataError
        If the words are not there, or this model cannot tell them from the rest.
    """
    from napari_ctclip.session.word_reading import read_words as read

    return read(scan._session, Prompt(prompt) if isinstance(prompt, str) else prompt, words)


def patches(
    scan: EncodedVolume,
    targets: str | Sequence[str],
    *,
    controls: Sequence[str] | None = None,
    count: int = 16,
    size_mm: float = 64.0,
) -> tuple[Patch, ...]:
    """Return the patches of the lung that look most like the target prompts, best first.

    Parameters
    ----------
    scan : EncodedVolume
        The scan; without organ masks the whole scan is searched.
    targets : str or sequence of str
        What is looked for; several phrasings are pooled.
    controls : sequence of str, optional
        What it is contrasted with; normal lung, artefacts and air by default.
    count : int
        The number of patches, at most.
    size_mm : float
        The side of a patch.
    """
    session = _montages(scan, targets, controls, count=count, size_mm=size_mm)
    assert session.montage is not None, "a ranking makes a montage"
    return session.montage.patches


def montage(
    scan: EncodedVolume,
    targets: str | Sequence[str],
    *,
    controls: Sequence[str] | None = None,
    count: int = 16,
    size_mm: float = 64.0,
) -> Montage:
    """Return the patches of ``patches`` side by side, as a picture in HU."""
    session = _montages(scan, targets, controls, count=count, size_mm=size_mm)
    assert session.montage is not None, "a ranking makes a montage"
    return session.montage


def point_finding(scan: AnyScan, index: Index, *, answer: Answer | None = None) -> Finding:
    """Return the finding of one voxel (z, y, x), with the score of an answer there if given.

    Raises
    ------
    DataError
        If the voxel lies outside the scan.
    """
    from napari_ctclip.explanation.found_regions import point_finding as find

    model = None if answer is None else answer.model
    return find(_study_of(scan), index, answer=answer, model=model)


def heatmap_finding(
    answer: Answer, *, threshold: float | None = None, index: Index | None = None
) -> Finding:
    """Return the finding of the connected heatmap region about a voxel, or about the peak.

    Parameters
    ----------
    answer : Answer
        Whose heatmap.
    threshold : float, optional
        The similarity at which the region ends; half the peak by default.
    index : tuple of int, optional
        A voxel (z, y, x) inside the region; the peak by default.

    Raises
    ------
    DataError
        If the heatmap there lies below the threshold.
    """
    from napari_ctclip.explanation.found_regions import DEFAULT_SHARE, component_finding
    from napari_ctclip.session.findings_session import voxel_of_peak

    seed = index or voxel_of_peak(answer.study, answer)
    level = DEFAULT_SHARE * answer.focus.peak.value if threshold is None else threshold
    return component_finding(answer.study, answer, answer.model, seed=seed, threshold=level)


def drawn_finding(
    finding: Finding, scan: AnyScan, region: Region, *, answer: Answer | None = None
) -> Finding:
    """Return a finding with the region that a person drew, measured again.

    Its score is read out again where an answer is given, and removed where none is.
    """
    from napari_ctclip.explanation.found_regions import reshaped

    model = None if answer is None else answer.model
    return reshaped(finding, _study_of(scan), region, answer=answer, model=model)


def follow_up(current: EncodedVolume, prior: EncodedVolume) -> FollowUp:
    """Return two scans of one patient, linked by their organ masks.

    Raises
    ------
    CtClipError
        If one of them has no organ masks.
    """
    from napari_ctclip.session.follow_up import FollowUp

    pair = FollowUp(current._session, prior._session)
    pair.set_link(pair.compute_link())
    warn_of(pair.notices)
    return pair


# --- inside ---------------------------------------------------------------------------------------


def _study_of(scan: AnyScan) -> Study:
    return scan.study if isinstance(scan, EncodedVolume) else study_of(scan)


def _montages(
    scan: EncodedVolume,
    targets: str | Sequence[str],
    controls: Sequence[str] | None,
    *,
    count: int,
    size_mm: float,
) -> MontageSession:
    """Return a montage session that has ranked the patches of a scan."""
    from napari_ctclip.regions.patches import PatchPlan
    from napari_ctclip.regions.ranking import MontageLayout
    from napari_ctclip.scoring.patch_scores import DEFAULT_CONTROLS, PatchPrompts
    from napari_ctclip.session.montage_session import MontageSession

    wanted = (targets,) if isinstance(targets, str) else tuple(targets)
    prompts = PatchPrompts(wanted, DEFAULT_CONTROLS if controls is None else tuple(controls))
    plan = PatchPlan(size_mm, organ="" if scan.study.organ_masks is None else "lung")
    session = MontageSession(scan._session, model_name=scan.model.name)
    session.set_layout(MontageLayout(count))
    with progress_bar("patches") as report:
        prepared = session.compute_patches(plan, scan._session.work(report))
    warn_of(prepared.patches.notices)
    session.set_patches(prepared)
    session.set_ranking(session.compute_ranking(prompts))
    return session
