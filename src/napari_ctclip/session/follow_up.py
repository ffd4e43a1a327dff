"""FollowUp: a prior and a current scan, one model, the same prompts; no Qt."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.notice import Notice
from napari_ctclip.io.csv_tables import write_csv_table
from napari_ctclip.regions.correspondence import Correspondence, correspond
from napari_ctclip.scoring.answer import ScoreChange, score_changes
from napari_ctclip.scoring.region_scores import WHOLE_SCAN
from napari_ctclip.session.session import Session

__all__ = ["CHANGE_COLUMNS", "FollowUp", "write_changes"]

CHANGE_COLUMNS = (
    "prompt",
    "anatomy",
    "similarity_before",
    "similarity_after",
    "difference",
    "probability_before",
    "probability_after",
    "peak_before_x_mm",
    "peak_before_y_mm",
    "peak_before_z_mm",
    "peak_after_x_mm",
    "peak_after_y_mm",
    "peak_after_z_mm",
    "note",
)
"""Columns of a change table; each peak lies in the RAS world of its own scan."""

Index = tuple[int, int, int]


class FollowUp:
    """Two sessions that hold two scans of one patient.

    Parameters
    ----------
    current, prior : Session
        The later and the earlier scan. Both must answer with the same model.
    """

    def __init__(self, current: Session, prior: Session) -> None:
        self.current, self.prior = current, prior
        self._to_prior: Correspondence | None = None
        self._to_current: Correspondence | None = None

    @property
    def is_linked(self) -> bool:
        """Whether points of one scan are known in the other."""
        return self._to_prior is not None

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What the user should know about the link; nothing before there is one."""
        return () if self._to_prior is None else self._to_prior.notices

    def compute_link(self) -> Correspondence:
        """Return the map of the current scan's points to the prior's: the slow half.

        Raises
        ------
        CtClipError
            If one of them has no organ masks.
        """
        for name, session in (("current", self.current), ("prior", self.prior)):
            if session.study is None or session.study.organ_masks is None:
                raise CtClipError(
                    f"the {name} scan has no organ masks to be linked by; make quick masks, or "
                    "load some"
                )
        assert self.current.study is not None
        assert self.prior.study is not None
        assert self.current.study.organ_masks is not None
        assert self.prior.study.organ_masks is not None
        return correspond(self.current.study.organ_masks, self.prior.study.organ_masks)

    def set_link(self, link: Correspondence | None) -> None:
        """Take a map; None unlinks the scans."""
        self._to_prior = link
        self._to_current = None if link is None else link.reversed()

    def in_prior(self, index: Index) -> Index | None:
        """Return the voxel of the prior at a point of the current scan; None where it ends."""
        return _mapped(self._to_prior, index)

    def in_current(self, index: Index) -> Index | None:
        """Return the voxel of the current scan at a point of the prior; None where it ends."""
        return _mapped(self._to_current, index)

    def changes(self) -> tuple[ScoreChange, ...]:
        """Return what changed, for every prompt that both scans have answered.

        Raises
        ------
        CtClipError
            If the scans were answered by different models.
        """
        models = {s.model.weights_hash() for s in (self.current, self.prior) if s.model is not None}
        if len(models) > 1:
            raise CtClipError("the scans were queried with different models; query both with one")
        return score_changes(self.prior.answers, self.current.answers, cut=self._cut())

    def _cut(self) -> set[str]:
        """Return the anatomies that a scan ends inside of, and the whole scan where they differ."""
        if self._to_prior is None:
            return set()
        ends = {
            name: tuple(tuple(box.cut_low) + tuple(box.cut_high) for box in pair)
            for name, pair in self._to_prior.boxes.items()
        }
        cut = {name for name, (here, there) in ends.items() if any(here + there)}
        same_range = all(here == there for here, there in ends.values())
        same_range &= not self._to_prior.in_one_alone
        return cut if same_range else cut | {WHOLE_SCAN}


def write_changes(changes: tuple[ScoreChange, ...], path: Path) -> None:
    """Write a change table as CSV, whole or not at all."""
    write_csv_table(path, CHANGE_COLUMNS, map(_change_row, changes))


def _change_row(change: ScoreChange) -> tuple[object, ...]:
    numbers = (
        change.before.similarity,
        change.after.similarity,
        change.difference,
        change.before.probability,
        change.after.probability,
    )
    peaks = (*change.before.peak.world_mm, *change.after.peak.world_mm)
    return (
        change.prompt,
        change.anatomy,
        *(f"{number:.6f}" for number in numbers),
        *(f"{mm:.2f}" for mm in peaks),
        change.note,
    )


def _mapped(link: Correspondence | None, index: Index) -> Index | None:
    if link is None:
        return None
    point = np.rint(link.index_in_target(index))
    if not link.target.contains_index(point):
        return None
    z, y, x = point.astype(int).tolist()
    return z, y, x
