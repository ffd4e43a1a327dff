"""Opened session: a session file with its scan, which may be open already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_ctclip.core.organ_masks import OrganMasks
    from napari_ctclip.core.volume import Volume
    from napari_ctclip.io.ct.read import ReadVolume
    from napari_ctclip.session.files.saved_session import SavedSession, ScanReference

__all__ = ["OpenedSession", "are_better", "open_volume_of"]


@dataclass(frozen=True, eq=False)
class OpenedSession:
    """A session file with its scan, read off the GUI thread.

    Attributes
    ----------
    path : Path
        The file.
    saved : SavedSession
        What it holds.
    scan : ReadVolume or None
        Its scan; None if that moved.
    is_open : bool
        Whether the scan was in the viewer already.
    """

    path: Path
    saved: SavedSession
    scan: ReadVolume | None
    is_open: bool = False


def open_volume_of(scan: ScanReference, volumes: tuple[Volume, ...]) -> Volume | None:
    """Return the scan of a session among those that are open; slow, it hashes their voxels."""
    for volume in volumes:
        if (
            volume.geometry.coincides_with(scan.geometry)
            and volume.content_hash() == scan.content_sha256
        ):
            return volume
    return None


def are_better(masks: OrganMasks, now: OrganMasks | None) -> bool:
    """Return whether a file's masks should take the place of those of the open scan."""
    # quick masks are made again in seconds; others may have cost minutes, or a person's work
    return now is None or (now.source == "quick" and masks.source != "quick")
