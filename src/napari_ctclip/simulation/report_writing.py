"""Plain-English reports of simulated studies; the phrasing is our own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_ctclip.core.report import Report
from napari_ctclip.simulation.lesion import FINDINGS, Lesion

__all__ = ["write_report"]

_PRESENT: dict[str, tuple[str, ...]] = {
    "lung nodule": (
        "There is a {size} {what} nodule in the {side} lung.",
        "A {what} lung nodule measuring {size} is seen on the {side}.",
        "{What} pulmonary nodule of {size} in the {side} lung.",
    ),
    "lung mass": (
        "A {what} mass of {size} occupies the {side} lung.",
        "Large {what} lung mass on the {side}, {size} across.",
        "There is a {size} soft tissue mass in the {side} lung, {what}.",
    ),
    "ground-glass opacity": (
        "Hazy ground-glass opacity in the {side} lung, {what}.",
        "Areas of {what} ground-glass attenuation on the {side}; vessels remain visible.",
        "The {side} lung shows {what} ground-glass opacities.",
    ),
    "consolidation": (
        "{What} consolidation in the {side} lung with air bronchograms.",
        "Airspace consolidation, {what}, on the {side}.",
        "The {side} lung contains {what} consolidation.",
    ),
    "pleural effusion": (
        "{What} pleural effusion on the {side}.",
        "There is a {what} {side} pleural effusion layering behind.",
        "Fluid in the {side} pleural space, {what} in amount.",
    ),
    "pneumothorax": (
        "{What} pneumothorax on the {side}.",
        "Air in the {side} pleural space, a {what} pneumothorax.",
        "There is a {what} {side} pneumothorax with partial collapse of the lung.",
    ),
    "emphysema": (
        "{What} emphysema.",
        "Both lungs show {what} emphysematous change.",
        "Destruction of lung tissue in keeping with {what} emphysema.",
    ),
    "pulmonary fibrosis": (
        "Fibrotic change of both lungs, {what}.",
        "Subpleural reticulation in keeping with {what} pulmonary fibrosis.",
        "Interstitial fibrosis of {what} type with traction bronchiectasis.",
    ),
    "atelectasis": (
        "{What} atelectasis in the {side} lung.",
        "There is {what} atelectasis on the {side}.",
        "Loss of volume on the {side} from {what} atelectasis.",
    ),
    "coronary calcification": (
        "Calcified plaques of the coronary arteries.",
        "Coronary artery calcification.",
        "The coronary arteries are calcified.",
    ),
    "aortic calcification": (
        "Calcified plaques of the aortic wall.",
        "Atherosclerotic calcification of the thoracic aorta.",
        "The wall of the aorta is calcified.",
    ),
    "cardiomegaly": (
        "{What} cardiomegaly.",
        "The heart is enlarged, {what} in degree.",
        "There is {what} enlargement of the heart.",
    ),
    "pericardial effusion": (
        "{What} pericardial effusion.",
        "Fluid around the heart, {what} in amount.",
        "There is a {what} pericardial effusion.",
    ),
}
_ABSENT: dict[str, tuple[str, ...]] = {
    "lung nodule": ("No lung nodule.", "No suspicious pulmonary nodule is seen."),
    "lung mass": ("No lung mass.", "There is no mass in either lung."),
    "ground-glass opacity": ("No ground-glass opacity.", "No hazy lung opacity."),
    "consolidation": ("No consolidation.", "The lungs are free of consolidation."),
    "pleural effusion": ("No pleural effusion.", "The pleural spaces hold no fluid."),
    "pneumothorax": ("No pneumothorax.", "No air in the pleural space."),
    "emphysema": ("No emphysema.", "No emphysematous change."),
    "pulmonary fibrosis": ("No pulmonary fibrosis.", "No reticulation or honeycombing."),
    "atelectasis": ("No atelectasis.", "All segments of the lungs are aerated."),
    "coronary calcification": ("No coronary calcification.", "The coronaries are not calcified."),
    "aortic calcification": ("No aortic calcification.", "The aortic wall is not calcified."),
    "cardiomegaly": ("The heart is of normal size.", "No cardiomegaly."),
    "pericardial effusion": ("No pericardial effusion.", "The pericardium holds no fluid."),
}
_NORMAL = (
    "The trachea and the main bronchi are open.",
    "The oesophagus is unremarkable.",
    "The liver is normal as far as it is covered.",
    "The spleen is unremarkable.",
    "No bone destruction.",
    "The thoracic aorta is of normal calibre.",
    "No enlarged lymph nodes in the mediastinum.",
)
_HEALTHY = (
    "No acute abnormality of the chest.",
    "Normal CT of the chest.",
    "No relevant finding in the chest.",
)


def write_report(lesions: Sequence[Lesion], rng: np.random.Generator) -> Report:
    """Return a report that names every lesion, some absent findings and some normal organs."""
    sentences: list[str] = []
    short: list[str] = []
    for finding in FINDINGS:
        of_kind = [lesion for lesion in lesions if lesion.finding == finding]
        if not of_kind:
            if rng.random() < 0.5:
                sentences.append(str(rng.choice(_ABSENT[finding])))
            continue
        sentences += _describe(of_kind, rng)
        short.append(_summary(finding, of_kind))
    pick = rng.permutation(len(_NORMAL))[: int(rng.integers(2, 6))]
    sentences += [_NORMAL[i] for i in pick]
    impression = " ".join(short) if short else str(rng.choice(_HEALTHY))
    return Report(findings=" ".join(sentences), impression=impression)


def _describe(lesions: Sequence[Lesion], rng: np.random.Generator) -> list[str]:
    """Return one sentence for each place of a finding; nodules and masses one by one."""
    focal = lesions[0].finding in ("lung nodule", "lung mass")
    groups: dict[tuple[str, str, int], Lesion] = {}
    for n, lesion in enumerate(lesions):
        whole = lesion.finding == "emphysema"
        place = "" if whole else lesion.anatomy
        groups.setdefault((place, lesion.description, n if focal else 0), lesion)
    out = []
    for lesion in groups.values():
        what = _WORDS.get(lesion.description, lesion.description)
        pattern = str(rng.choice(_PRESENT[lesion.finding]))
        size = lesion.diameter_mm
        out.append(
            pattern.format(
                what=what,
                What=what[:1].upper() + what[1:],
                side=_side(lesion),
                size=f"{size:.0f} mm" if size < 30 else f"{size / 10:.1f} cm",
            )
        )
    return out


_WORDS = {"aortic": "aortic", "coronary": "coronary artery", "solid": "solid smooth"}


def _side(lesion: Lesion) -> str:
    return "right" if lesion.anatomy.endswith("right") else "left"


def _summary(finding: str, lesions: Sequence[Lesion]) -> str:
    sides = sorted({_side(lesion) for lesion in lesions if lesion.anatomy.startswith("lung")})
    if finding == "emphysema" or not sides:
        return f"{finding.capitalize()}."
    where = "bilateral" if len(sides) == 2 else f"{sides[0]}-sided"
    count = f" ({len(lesions)})" if finding == "lung nodule" and len(lesions) > 1 else ""
    return f"{where.capitalize()} {finding}{count}."
