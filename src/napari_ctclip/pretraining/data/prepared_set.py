"""PreparedSet: what ``napari-ctclip-train prepare`` made, opened to train a model on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_ctclip.core.anatomy import members
from napari_ctclip.core.errors import DataError
from napari_ctclip.io.ct.radiograph import GREY_MAX
from napari_ctclip.io.store.manifest import read_manifest
from napari_ctclip.io.store.manifest_entry import ManifestEntry, Split
from napari_ctclip.io.store.study_store import StudyStore
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["PreparedSet", "open_prepared_set"]

_TOLERANCE_MM = 1e-6


@dataclass(frozen=True, eq=False)
class PreparedSet:
    """A manifest with its store.

    Attributes
    ----------
    manifest : Path
        The file.
    entries : tuple of ManifestEntry
        The entries of one split.
    store : StudyStore
        Beside the manifest.
    """

    manifest: Path
    entries: tuple[ManifestEntry, ...]
    store: StudyStore

    @property
    def is_flat(self) -> bool:
        """Whether it holds radiographs."""
        return self.store.specification.kind == "radiograph"

    def require(self, preprocessing: Preprocessing, anatomies: tuple[str, ...]) -> None:
        """Pass a model that sees what the store holds.

        Raises
        ------
        DataError
            If its grid is another one, or an anatomy has no label; with the command that fixes it.
        """
        own, folder = self.store.specification, self.store.folder
        near = np.allclose(own.spacing_mm, preprocessing.spacing_mm, atol=_TOLERANCE_MM, rtol=0)
        wanted, stored = _written(preprocessing.spacing_mm), _written(own.spacing_mm)
        if self.is_flat and not (near and preprocessing.orientation == own.orientation):
            raise DataError(
                f"{folder} holds radiographs and the recipe expects scans of {wanted} mm; set "
                f"preprocessing.spacing_mm to [1, 1, 1], windows_hu to [[0, {GREY_MAX}]] and "
                "data.crop to [1, rows, columns]"
            )
        if own.orientation != preprocessing.orientation or not near:
            raise DataError(
                f"{folder}: prepared as {own.orientation} at {stored} mm, the recipe expects "
                f"{preprocessing.orientation} at {wanted} mm; run napari-ctclip-train prepare "
                f"again with --orientation {preprocessing.orientation} --spacing {wanted} and "
                "another --out, or train a model of the stored grid: "
                f"--set preprocessing.orientation={own.orientation} "
                f'--set "preprocessing.spacing_mm=[{stored.replace(" ", ", ")}]"'
            )
        lacking = [name for name in anatomies if not members(name, own.anatomies)]
        if lacking:
            raise DataError(
                f"{folder}: no masks of {', '.join(lacking)}; it was prepared with "
                f"{', '.join(own.anatomies) or 'none'}; run napari-ctclip-train prepare again with "
                f"{' '.join(f'--anatomy {name}' for name in anatomies)} and another --out, or "
                "choose among the stored ones with --set data.anatomies"
            )


def open_prepared_set(path: Path, *, split: Split) -> PreparedSet:
    """Return a split of the set in a folder, or of its manifest.

    Raises
    ------
    DataError
        If manifest or store are missing or faulty, or the split has no study.
    """
    manifest = path / "manifest.jsonl" if path.is_dir() else path
    if not manifest.is_file():
        raise DataError(
            f"{path} is no prepared set: there is no {manifest.name}; make one with "
            "napari-ctclip-train prepare"
        )
    listed = read_manifest(manifest)
    entries = listed.of_split(split).entries
    if not entries:
        known = sorted({entry.split or "none" for entry in listed})
        raise DataError(
            f"{manifest}: no study of the split {split!r} (data.split); its {len(listed)} studies "
            f"are of: {', '.join(known)}"
        )
    return PreparedSet(manifest, entries, StudyStore(manifest.parent))


def _written(spacing_mm: tuple[float, float, float]) -> str:
    return " ".join(f"{length:g}" for length in spacing_mm)
