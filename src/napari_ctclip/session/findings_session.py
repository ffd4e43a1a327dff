"""Findings session: the findings of the open study, with undo. No Qt; GUI and CLI are its callers.

Slow work comes in pairs as in :mod:`session`: ``compute_*`` may run on any thread; the rest runs on
the caller's own and emits the signal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from psygnal import Signal

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.finding import Finding, FindingState
from napari_ctclip.core.history import History
from napari_ctclip.core.region import Region
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.session.session import Session

__all__ = ["FindingsSession"]

_FindingHistory = History[tuple[Finding, ...]]
_SAMPLE = 16  # voxels between those that tell one open scan from another


class FindingsSession:
    """The findings of the open study; those of a study that was open before come back with it.

    Parameters
    ----------
    session : Session
        The session whose study, model and answers they are made from.
    """

    changed = Signal(tuple)
    """Other findings are there: (all findings)."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._histories: dict[str, _FindingHistory] = {}
        self._scan_key = _scan_key_of(session.study)
        session.study_changed.connect(self._on_study_changed)

    # --- state ----------------------------------------------------------------------------------

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings of the open study, oldest first."""
        return self._history.present

    @property
    def scan_key(self) -> str:
        """What identifies the open scan, the same when it is read again; empty if none is open."""
        return self._scan_key

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._history.past)

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        return bool(self._history.future)

    def find(self, key: str) -> Finding | None:
        """Return a finding by its key."""
        return next((finding for finding in self.findings if finding.key == key), None)

    # --- made from the scan ---------------------------------------------------------------------

    def compute_region(
        self, positive: str, *, threshold: float, seed: tuple[int, int, int] | None = None
    ) -> Finding:
        """Return the finding of a heatmap's component about a voxel, or about the peak.

        Raises
        ------
        CtClipError
            If no study is open or the prompt has no answer.
        DataError
            If the heatmap there lies below the threshold.
        """
        from napari_ctclip.explanation.found_regions import component_finding

        study, answer = self._session.open_study(), self._require_answer(positive)
        point = seed or voxel_of_peak(study, answer)
        return component_finding(study, answer, self._model(), seed=point, threshold=threshold)

    def compute_point(self, index: tuple[int, int, int], *, positive: str = "") -> Finding:
        """Return the finding of one voxel (z, y, x), with a prompt's score there if it has one.

        Raises
        ------
        CtClipError
            If no study is open.
        """
        from napari_ctclip.explanation.found_regions import point_finding

        answer = self._session.answer_to(positive)
        model = None if answer is None else self._model()
        return point_finding(self._session.open_study(), index, answer=answer, model=model)

    def compute_drawn(self, region: Region, *, name: str = "", positive: str = "") -> Finding:
        """Return the finding of a region a person drew, with a prompt's score there if it has one.

        Raises
        ------
        CtClipError
            If no study is open.
        """
        from napari_ctclip.explanation.found_regions import reshaped

        answer = self._session.answer_to(positive)
        model = None if answer is None else self._model()
        made = self.compute_point(region.middle, positive=positive)
        drawn = reshaped(made, self._session.open_study(), region, answer=answer, model=model)
        return replace(drawn, name=name.strip() or made.name, state=FindingState.ACCEPTED)

    def compute_reshaped(self, key: str, region: Region) -> Finding:
        """Return a finding with another region, measured anew and marked as edited.

        Raises
        ------
        CtClipError
            If there is no such finding.
        """
        from napari_ctclip.explanation.found_regions import reshaped

        finding = self._require(key)
        answer = None
        if finding.prompt is not None:
            answer = self._session.answer_to(finding.prompt.positive)
        model = None if answer is None else self._model()
        return reshaped(finding, self._session.open_study(), region, answer=answer, model=model)

    # --- kept -----------------------------------------------------------------------------------

    def put(self, finding: Finding) -> None:
        """Add a finding, or replace the one with the same key."""
        known = {f.key: f for f in self.findings} | {finding.key: finding}
        self._take(self._history.then(tuple(known.values())))

    def rewrite(self, key: str, **changes: Any) -> None:
        """Change the name or note of a finding; it is marked as edited.

        Raises
        ------
        DataError
            If the name is empty.
        CtClipError
            If there is no such finding.
        """
        self.put(replace(self._require(key), state=FindingState.EDITED, **changes))

    def accept(self, key: str) -> None:
        """Mark a finding as accepted."""
        self.put(self._require(key).accepted())

    def reject(self, key: str) -> None:
        """Mark a finding as rejected; it stays in the table."""
        self.put(self._require(key).rejected())

    def remove(self, key: str) -> None:
        """Delete a finding."""
        self._require(key)
        self._take(self._history.then(tuple(f for f in self.findings if f.key != key)))

    def undo(self) -> None:
        """Take the last step back, if there is one."""
        if self.can_undo:
            self._take(self._history.undone())

    def redo(self) -> None:
        """Take a step that was taken back again, if there is one."""
        if self.can_redo:
            self._take(self._history.redone())

    def restore(self, findings: Sequence[Finding]) -> None:
        """Take the findings of a saved session; Undo brings back those that were there."""
        taken = tuple(findings)
        self._take(self._history.then(taken) if self.findings else History(taken))

    # --- inside ---------------------------------------------------------------------------------

    @property
    def _history(self) -> _FindingHistory:
        return self._histories.get(self._scan_key, History(()))

    def _take(self, history: _FindingHistory) -> None:
        self._histories[self._scan_key] = history
        self.changed.emit(history.present)

    def _on_study_changed(self, study: Study | None) -> None:
        self._scan_key = _scan_key_of(study)
        self.changed.emit(self.findings)

    def _require(self, key: str) -> Finding:
        finding = self.find(key)
        if finding is None:
            raise CtClipError("this finding is not in the table any more; choose another one")
        return finding

    def _require_answer(self, positive: str) -> Answer:
        answer = self._session.answer_to(positive)
        if answer is None:
            raise CtClipError(f"“{positive}” has no heatmap yet; ask it, then make a region")
        return answer

    def _model(self) -> Any:
        assert self._session.model is not None, "an answer implies a model"
        return self._session.model


def voxel_of_peak(study: Study, answer: Answer) -> tuple[int, int, int]:
    """Return the voxel of the scan where an answer is highest, in the organ it speaks of."""
    geometry = study.volume.geometry
    z, y, x = (round(i) for i in geometry.world_to_index(answer.focus.peak.world_mm).tolist())
    return (
        min(max(z, 0), geometry.shape[0] - 1),
        min(max(y, 0), geometry.shape[1] - 1),
        min(max(x, 0), geometry.shape[2] - 1),
    )


def _scan_key_of(study: Study | None) -> str:
    """Return what identifies a scan: quick, and the same when it is read again."""
    return "" if study is None else _fingerprint(study.volume)


def _fingerprint(volume: Volume) -> str:
    digest = sha256(repr(volume.geometry.shape).encode())
    digest.update(volume.geometry.affine.round(3).tobytes())
    digest.update(volume.voxels[::_SAMPLE, ::_SAMPLE, ::_SAMPLE].tobytes())
    return digest.hexdigest()
