"""OrganMasks: a label map with its legend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.anatomy import members
from napari_ctclip.core.errors import GeometryMismatch, UnknownLabelScheme
from napari_ctclip.core.geometry import Geometry

__all__ = ["OrganMasks"]


@dataclass(frozen=True, eq=False)
class OrganMasks:
    """Which anatomy each voxel belongs to.

    Attributes
    ----------
    labels : ndarray of unsigned integers, shape (D, H, W)
        0 is none; other numbers are explained by ``legend``. Axes as in ``Volume``.
    legend : mapping of str to int
        Anatomy name -> label, e.g. ``{"lung_right": 1}``.
    geometry : Geometry
        The grid of ``labels``.
    source : str
        How they were made: a path, ``"quick"`` (from HU), ``"TotalSegmentator"``, ``"simulation"``.
    """

    labels: npt.NDArray[np.unsignedinteger]
    legend: Mapping[str, int]
    geometry: Geometry
    source: str = ""

    def __post_init__(self) -> None:
        if self.labels.shape != self.geometry.shape:
            raise GeometryMismatch(
                f"expected labels of shape {self.geometry.shape}, got {self.labels.shape}"
            )
        if not np.issubdtype(self.labels.dtype, np.unsignedinteger):
            raise UnknownLabelScheme(
                f"expected unsigned whole-number labels, got {self.labels.dtype}"
            )
        if len(set(self.legend.values())) != len(self.legend) or 0 in self.legend.values():
            raise UnknownLabelScheme("a legend must give every anatomy its own label above 0")

    def __iter__(self) -> Iterator[str]:
        return iter(self.legend)

    def mask(self, anatomy: str) -> npt.NDArray[np.bool_]:
        """Return the voxels (D, H, W) of one anatomy, or of a group such as ``"lung"``.

        A group is every legend entry named ``group`` or starting with ``group_``, and what
        ``anatomy.GROUPS`` joins under that name (``"lung_right"`` finds the right lobes, ``"ribs"``
        every rib); ``"body"`` is every labelled voxel, since organs are cut out of it.

        Raises
        ------
        KeyError
            If nothing in the legend is called so.
        """
        numbers = self.labels_of(anatomy)
        if not numbers:
            raise KeyError(f"no anatomy {anatomy!r}; this label map has {sorted(self.legend)}")
        if len(numbers) == 1:
            return np.asarray(self.labels == numbers[0])
        member = np.zeros(int(self.labels.max()) + 1, dtype=bool)
        member[[n for n in numbers if n < len(member)]] = True
        return np.asarray(member[self.labels])

    def labels_of(self, anatomy: str) -> tuple[int, ...]:
        """Return the labels that make up an anatomy or a group; empty if there are none."""
        if anatomy == "body":
            return tuple(self.legend.values())
        return tuple(self.legend[name] for name in members(anatomy, self.legend))

    def name_at(self, index: tuple[int, int, int]) -> str:
        """Return the anatomy at a voxel; an empty string where there is none."""
        label = int(self.labels[index])
        return next((name for name, number in self.legend.items() if number == label), "")

    def volumes_ml(self) -> dict[str, float]:
        """Return the volume of every anatomy in millilitres."""
        length = max(self.legend.values(), default=0) + 1
        counts = np.zeros(length, dtype=np.int64)
        # slice by slice: bincount makes 64-bit copies, and the GUI thread gets a turn in between
        for labels in self.labels:
            counts += np.bincount(labels.ravel(), minlength=length)[:length]
        return {
            name: float(counts[label]) * self.geometry.voxel_volume_ml
            for name, label in self.legend.items()
        }
