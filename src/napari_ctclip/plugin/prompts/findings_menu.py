"""Findings menu: every finding of the dictionary, by region and organ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from qtpy.QtWidgets import QMenu

from napari_ctclip.core.anatomy import anatomy_label

__all__ = ["by_region", "fill_findings_menu"]

Findings = Mapping[str, Sequence[str]]

_REGIONS: Mapping[str, tuple[str, ...]] = {
    "Chest": (
        "lung", "trachea", "heart", "aorta", "pulmonary_artery", "mediastinum", "lymph_nodes",
        "esophagus", "diaphragm", "breast", "chest_wall",
    ),
    "Abdomen and pelvis": (
        "liver", "gallbladder", "spleen", "pancreas", "adrenal_gland", "kidney", "stomach",
        "duodenum", "small_bowel", "colon", "urinary_bladder", "prostate", "uterus", "peritoneum",
        "abdominal_wall", "portal_and_splenic_vein", "inferior_vena_cava", "iliac_artery",
        "iliac_vein",
    ),
    "Bones and muscles": (
        "bone", "rib", "sternum", "vertebrae_cervical", "vertebrae_thoracic", "vertebrae_lumbar",
        "sacrum", "femur", "spinal_canal", "erector_spinae", "iliopsoas",
    ),
    "Head and neck": ("brain", "face", "thyroid"),
}  # fmt: skip
_OTHER = "Other"


def by_region(findings: Findings) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return region -> organ -> findings; organs of no region come last, under "Other"."""
    regions = {
        region: {organ: tuple(findings[organ]) for organ in organs if findings.get(organ)}
        for region, organs in _REGIONS.items()
    }
    placed = {organ for organs in regions.values() for organ in organs}
    regions[_OTHER] = {o: tuple(names) for o, names in findings.items() if o not in placed}
    return {region: organs for region, organs in regions.items() if organs}


def fill_findings_menu(menu: QMenu, findings: Findings, ask: Callable[[str], None]) -> None:
    """Add a menu a region, in it one an organ, in it its findings and all of them together."""
    for region, organs in by_region(findings).items():
        region_menu = _submenu(menu, region)
        for organ, names in organs.items():
            label = anatomy_label(organ)
            organ_menu = _submenu(region_menu, label[:1].upper() + label[1:])
            for name in names:
                _action(organ_menu, name, name, ask)
            if len(names) > 1:
                organ_menu.addSeparator()
                _action(organ_menu, f"All {len(names)}", "; ".join(names), ask)


def _submenu(menu: QMenu, title: str) -> QMenu:
    submenu = QMenu(title, menu)
    menu.addMenu(submenu)
    return submenu


def _action(menu: QMenu, title: str, asks: str, ask: Callable[[str], None]) -> None:
    action = menu.addAction(title)
    if action is not None:
        action.triggered.connect(lambda *_: ask(asks))
