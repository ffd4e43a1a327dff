"""Reports already divided by organ: fVLM's desc_info/conc_info and Merlin's JSON files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_ctclip.core.anatomy import MAJOR_ANATOMIES
from napari_ctclip.core.errors import DataError
from napari_ctclip.io.masks.label_map import anatomy_name
from napari_ctclip.preparation.sources.ct_rate import volume_names
from napari_ctclip.preparation.sources.draft import Draft
from napari_ctclip.preparation.sources.scan_files import ScanFiles
from napari_ctclip.reports.captions import organ_caption, read_caption

__all__ = ["FVLM_FILES", "anatomy_of_organ", "draft_from_fvlm", "draft_from_merlin"]

FVLM_FILES = ("desc_info.json", "conc_info.json")

_SAME: Mapping[str, str] = {
    "large_bowel": "colon", "large_intestine": "colon", "small_intestine": "small_bowel",
    "bladder": "urinary_bladder", "portal_vein": "portal_and_splenic_vein",
    "portal_vein_and_splenic_vein": "portal_and_splenic_vein", "autochthon": "erector_spinae",
    "iliac_vena": "iliac_vein", "clavicula": "clavicle", "oesophagus": "esophagus",
    "adrenal_glands": "adrenal_gland", "kidneys": "kidney", "lungs": "lung", "ribs": "rib",
    "cervical_vertebrae": "vertebrae_cervical", "lumbar_vertebrae": "vertebrae_lumbar",
    "thoracic_vertebrae": "vertebrae_thoracic",
}  # fmt: skip
_NOTHING_SAID = re.compile(r"^not (specifically )?(described|mentioned)\b", re.IGNORECASE)

OrganTexts = dict[str, dict[str, str]]


def anatomy_of_organ(organ: str) -> str:
    """Return the major anatomy a published file means by an organ's name; the name if unknown."""
    name = anatomy_name(organ)
    return name if name in MAJOR_ANATOMIES else _SAME.get(name, name)


def draft_from_fvlm(folder: Path, *, masks_folder: Path | None = None) -> Draft:
    """Return the volumes of a folder with fVLM's ``desc_info.json`` and ``conc_info.json``.

    The findings part and the impression part of every organ, by scan (``train_1_a``); its volumes
    (``train_1_a_1``) share them. An organ that the impression does not name is normal.

    Raises
    ------
    DataError
        If a file is missing or of another form.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), section 3 and its released data files.
    """
    description, conclusion = (_organ_texts(folder / name) for name in FVLM_FILES)
    files = ScanFiles(folder)
    masks = None if masks_folder is None else ScanFiles(masks_folder)
    draft = Draft()
    scans: set[str] = set()
    for name in volume_names(files):
        scan = name.rsplit("_", 1)[0]
        scans.add(scan)
        sentences, normal = _of_scan(description.get(scan, {}), conclusion.get(scan, {}))
        values: dict[str, Any] = {
            "study_id": name,
            "patient_id": scan.rsplit("_", 1)[0],
            "split": scan.split("_", 1)[0],
            "organ_sentences": sentences,
            "organ_normal": normal,
        }
        _add(draft, values, files=files, masks=masks)
    _reject_without_scan(draft, set(description) | set(conclusion), scans=scans, folder=folder)
    return draft


def draft_from_merlin(
    reports: Path, folder: Path, *, normal: Path | None = None, masks_folder: Path | None = None
) -> Draft:
    """Return the studies of Merlin's organ reports as published with RADAR.

    Parameters
    ----------
    reports : Path
        JSON: accession -> ``report`` and the text of every organ.
    folder : Path
        Scans called like their accession.
    normal : Path, optional
        JSON: accession -> ``normal`` or ``abnormal`` for every organ.
    masks_folder : Path, optional
        Label maps called like their accession.

    Raises
    ------
    DataError
        If a file is missing or of another form.
    """
    texts = _organ_texts(reports)
    states = {} if normal is None else _organ_texts(normal)
    files = ScanFiles(folder)
    masks = None if masks_folder is None else ScanFiles(masks_folder)
    draft = Draft()
    for accession, organs in texts.items():
        said = {o: t for o, t in organs.items() if o != "report" and not _NOTHING_SAID.match(t)}
        state = states.get(accession, {})
        values: dict[str, Any] = {
            "study_id": accession,
            "patient_id": accession,  # the files name no patient; one accession each is public
            "report": organs.get("report", ""),
            "organ_sentences": {anatomy_of_organ(o): t for o, t in said.items()},
            "organ_normal": {anatomy_of_organ(o): state[o] == "normal" for o in said if o in state},
        }
        _add(draft, values, files=files, masks=masks)
    return draft


def _of_scan(
    description: Mapping[str, str], conclusion: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, bool]]:
    """Return the text of every anatomy, impression first, and whether it is normal."""
    sentences: dict[str, str] = {}
    normal: dict[str, bool] = {}
    for organ in dict.fromkeys([*conclusion, *description]):
        caption = organ_caption(
            organ, findings=description.get(organ, ""), impression=conclusion.get(organ, "")
        )
        read = read_caption(caption, organ)
        anatomy = anatomy_of_organ(organ)
        sentences[anatomy], normal[anatomy] = read.text.strip(), read.normal
    return sentences, normal


def _add(
    draft: Draft,
    values: dict[str, Any],
    *,
    files: ScanFiles,
    masks: ScanFiles | None,
) -> None:
    name = values["study_id"]
    try:
        image = files.scan(name)
        values["masks"] = files.masks(name, masks)
    except DataError as error:
        draft.reject(values, "several-files", str(error))
        return
    if image is None:
        reason = f"a report, but no scan called {name} below {files.folder}"
        draft.reject(values, "missing-file", reason)
        return
    draft.add({**values, "image": image})


def _reject_without_scan(
    draft: Draft, reported: set[str], *, scans: set[str], folder: Path
) -> None:
    for scan in sorted(reported - scans):
        row = {"study_id": scan, "patient_id": scan.rsplit("_", 1)[0]}
        draft.reject(row, "missing-file", f"a report, but no volume of {scan} below {folder}")


def _organ_texts(path: Path) -> OrganTexts:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the organ texts cannot be read: {error}") from error
    good = isinstance(content, dict) and all(
        isinstance(organs, dict) and all(isinstance(text, str) for text in organs.values())
        for organs in content.values()
    )
    if not good:
        raise DataError(f'{path}: expected {{"study": {{"organ": "text"}}}}, got something else')
    return {str(study): dict(organs) for study, organs in content.items()}
