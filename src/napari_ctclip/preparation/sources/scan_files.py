"""Which file or DICOM folder of an archive belongs to which study: by name."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.masks.legends import volume_stem

__all__ = ["SCAN_SUFFIXES", "ScanFiles"]

SCAN_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")

_MASK_WORDS = ("seg", "dseg", "mask", "masks", "organs", "labels", "segmentation", "segmentations")


class ScanFiles:
    """The files and folders below a folder by the name of their study.

    A study's scan is a file called like it, a folder called like it that holds one scan file, or
    such a folder of DICOM files. Its label map is called like it with ``_seg``, ``_masks`` and the
    like, or just so in the study's own folder.

    Parameters
    ----------
    folder : Path
        Searched once, with its subfolders; names with a leading dot are left out.
    suffixes : tuple of str
        Endings of the files that count.

    Raises
    ------
    DataError
        If there is no such folder.
    """

    def __init__(self, folder: Path, *, suffixes: tuple[str, ...] = SCAN_SUFFIXES) -> None:
        if not folder.is_dir():
            raise DataError(f"there is no folder {folder}; check the path")
        self.folder = folder
        self._scans: dict[str, list[Path]] = defaultdict(list)
        self._masks: dict[str, list[Path]] = defaultdict(list)
        self._folders: dict[str, list[Path]] = defaultdict(list)
        self._scans_in: dict[Path, list[Path]] = defaultdict(list)
        self._masks_in: dict[Path, list[Path]] = defaultdict(list)
        for parent, folders, files in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in folders:
                self._folders[name].append(Path(parent) / name)
            for name in sorted(files):
                if name.lower().endswith(suffixes) and not name.startswith("."):
                    self._file(Path(parent) / name, is_volume=suffixes is SCAN_SUFFIXES)

    def __iter__(self) -> Iterator[tuple[str, Path]]:
        """Yield the stem and the path of every scan file, in order of the paths."""
        found = [(path, stem) for stem, paths in self._scans.items() for path in paths]
        yield from ((stem, path) for path, stem in sorted(found))

    def scan(self, name: str) -> Path | None:
        """Return the scan called ``name``: a file or a DICOM folder; None if there is none.

        Raises
        ------
        DataError
            If there are several.
        """
        found = self._scans.get(name)
        if not found:
            folder = _only(self._folders.get(name, []), name)
            inside = [] if folder is None else self._scans_in.get(folder, [])
            found = inside or ([folder] if folder is not None else [])
        return _only(found, name)

    def masks(self, name: str, elsewhere: ScanFiles | None = None) -> Path | None:
        """Return the label map of a study; None if there is none.

        Parameters
        ----------
        name : str
            Of the study.
        elsewhere : ScanFiles, optional
            A folder of label maps, called like their studies with or without an ending.

        Raises
        ------
        DataError
            If there are several.
        """
        if elsewhere is not None:
            return elsewhere.masks(name) or elsewhere.scan(name)
        found = self._masks.get(name)
        if not found:
            folder = _only(self._folders.get(name, []), name)
            found = [] if folder is None else self._masks_in.get(folder, [])
        return _only(found, name)

    def _file(self, path: Path, *, is_volume: bool) -> None:
        stem = volume_stem(path) if is_volume else path.stem
        first, separator, last = stem.replace("-", "_").rpartition("_")
        if is_volume and last.lower() in _MASK_WORDS:
            self._masks[stem[: len(first)] if separator else ""].append(path)
            self._masks_in[path.parent].append(path)
        else:
            self._scans[stem].append(path)
            self._scans_in[path.parent].append(path)


def _only(paths: list[Path], name: str) -> Path | None:
    if len(paths) > 1:
        listed = ", ".join(str(path) for path in paths[:3])
        raise DataError(
            f"{len(paths)} files or folders are called {name!r} or lie in its folder ({listed}); "
            "name the right one in a column image (or masks)"
        )
    return paths[0] if paths else None
