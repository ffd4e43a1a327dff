"""AnatomyTable: which names of a label map each anatomy joins, and TotalSegmentator's numbers."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

from napari_ctclip.core.errors import DataError

__all__ = [
    "EVERY_NAME",
    "SHIPPED_TABLE",
    "TOTALSEGMENTATOR_V1",
    "TOTALSEGMENTATOR_V2",
    "AnatomyTable",
    "read_anatomy_table",
]

SHIPPED_TABLE = Path(__file__).with_name("major_anatomies.toml")

_MOST_ANATOMIES = 255  # labels are stored in a byte


@dataclass(frozen=True)
class AnatomyTable:
    """Anatomies and the names they join.

    Attributes
    ----------
    parts : mapping of str to tuple of str
        Anatomy -> names or patterns (``"rib_*"``); an anatomy's own name always belongs to it.
    """

    parts: Mapping[str, tuple[str, ...]]

    def anatomy_of(self, name: str) -> str:
        """Return the anatomy that joins a name; ``""`` if none does."""
        if name in self.parts:
            return name
        for anatomy, patterns in self.parts.items():
            if any(fnmatchcase(name, pattern) for pattern in patterns):
                return anatomy
        return ""

    def members_of(self, anatomy: str, names: Iterable[str]) -> tuple[str, ...]:
        """Return which of ``names`` an anatomy joins, in their order."""
        return tuple(name for name in names if self.anatomy_of(name) == anatomy)

    def only(self, anatomies: Sequence[str]) -> AnatomyTable:
        """Return the table of some of its anatomies, in the table's order.

        Raises
        ------
        DataError
            If one is not in the table.
        """
        unknown = sorted(set(anatomies) - set(self.parts))
        if unknown:
            raise DataError(
                f"the table of anatomies lacks {', '.join(unknown)}; it has {', '.join(self.parts)}"
            )
        return AnatomyTable({name: p for name, p in self.parts.items() if name in anatomies})


def read_anatomy_table(path: Path = SHIPPED_TABLE) -> AnatomyTable:
    """Return the table in a TOML file: ``anatomy = ["name", "pattern_*"]``.

    Raises
    ------
    DataError
        If it cannot be read, or two anatomies claim the same name.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: the table of anatomies cannot be read: {error}") from error
    if not 0 < len(content) <= _MOST_ANATOMIES:
        raise DataError(f"{path}: {len(content)} anatomies, expected 1 to {_MOST_ANATOMIES}")
    for anatomy, names in content.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{path}: {anatomy}: expected a list of names, got {names!r}")
    table = AnatomyTable({anatomy: tuple(names) for anatomy, names in content.items()})
    _refuse_shared_names(table, path)
    return table


def _refuse_shared_names(table: AnatomyTable, path: Path) -> None:
    given = {name for names in table.parts.values() for name in names if "*" not in name}
    for name in sorted(given | set(EVERY_NAME)):
        claiming = [
            anatomy
            for anatomy, patterns in table.parts.items()
            if name == anatomy or any(fnmatchcase(name, pattern) for pattern in patterns)
        ]
        if len(claiming) > 1:
            raise DataError(
                f"{path}: {name!r} belongs to {' and '.join(claiming)}; a voxel has one label, so "
                "name it in one of them only"
            )


_SPINE = tuple(
    [f"vertebrae_L{n}" for n in range(5, 0, -1)]
    + [f"vertebrae_T{n}" for n in range(12, 0, -1)]
    + [f"vertebrae_C{n}" for n in range(7, 0, -1)]
)
_RIBS = tuple(f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 13))
_LUNGS = (
    "lung_upper_lobe_left", "lung_lower_lobe_left", "lung_upper_lobe_right",
    "lung_middle_lobe_right", "lung_lower_lobe_right",
)  # fmt: skip
_ADRENALS = ("adrenal_gland_right", "adrenal_gland_left")
_FIRST_SIX = ("spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach")


def _sides(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}_{side}" for name in names for side in ("left", "right"))


def _numbered(*names: str) -> Mapping[int, str]:
    return MappingProxyType(dict(enumerate(names, start=1)))


TOTALSEGMENTATOR_V1: Mapping[int, str] = _numbered(
    *_FIRST_SIX,
    "aorta", "inferior_vena_cava", "portal_vein_and_splenic_vein", "pancreas",
    *_ADRENALS,
    *_LUNGS,
    *_SPINE,
    "esophagus", "trachea",
    "heart_myocardium", "heart_atrium_left", "heart_ventricle_left", "heart_atrium_right",
    "heart_ventricle_right", "pulmonary_artery", "brain",
    *_sides("iliac_artery", "iliac_vena"),
    "small_bowel", "duodenum", "colon",
    *_RIBS,
    *_sides("humerus", "scapula", "clavicula", "femur", "hip"),
    "sacrum", "face",
    *_sides("gluteus_maximus", "gluteus_medius", "gluteus_minimus", "autochthon", "iliopsoas"),
    "urinary_bladder",
)  # fmt: skip
"""Label -> name of TotalSegmentator 1 (task ``total``, 104 anatomies)."""

TOTALSEGMENTATOR_V2: Mapping[int, str] = _numbered(
    *_FIRST_SIX,
    "pancreas",
    *_ADRENALS,
    *_LUNGS,
    "esophagus", "trachea", "thyroid_gland", "small_bowel", "duodenum", "colon",
    "urinary_bladder", "prostate",
    *_sides("kidney_cyst"),
    "sacrum", "vertebrae_S1",
    *_SPINE,
    "heart", "aorta", "pulmonary_vein", "brachiocephalic_trunk",
    "subclavian_artery_right", "subclavian_artery_left",
    "common_carotid_artery_right", "common_carotid_artery_left",
    *_sides("brachiocephalic_vein"),
    "atrial_appendage_left", "superior_vena_cava", "inferior_vena_cava",
    "portal_vein_and_splenic_vein",
    *_sides("iliac_artery", "iliac_vena", "humerus", "scapula", "clavicula", "femur", "hip"),
    "spinal_cord",
    *_sides("gluteus_maximus", "gluteus_medius", "gluteus_minimus", "autochthon", "iliopsoas"),
    "brain", "skull",
    *_RIBS,
    "sternum", "costal_cartilages",
)  # fmt: skip
"""Label -> name of TotalSegmentator 2 (task ``total``, 117 anatomies)."""

EVERY_NAME: tuple[str, ...] = tuple(
    dict.fromkeys([*TOTALSEGMENTATOR_V1.values(), *TOTALSEGMENTATOR_V2.values()])
)
"""Names of both versions."""
