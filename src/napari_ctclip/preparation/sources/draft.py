"""Draft: what a layout makes of an archive, before anything about it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from napari_ctclip.core.notice import Notice
from napari_ctclip.io.store.manifest_entry import ManifestEntry
from napari_ctclip.preparation.rejection import Rejection

__all__ = ["Draft"]


@dataclass
class Draft:
    """Studies of an archive and those that could not even be listed.

    Attributes
    ----------
    entries : list of ManifestEntry
        In the order of the archive's table.
    rejections : list of Rejection
        Rows without a scan, faulty lines.
    notices : list of Notice
        About the archive as a whole.
    """

    entries: list[ManifestEntry] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def add(self, values: Mapping[str, Any]) -> None:
        """Add a study, or its rejection where the values are not a manifest's."""
        try:
            self.entries.append(ManifestEntry.model_validate(values))
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}"
                for e in error.errors()
            )
            self.reject(values, "not-a-line", faults)

    def reject(self, values: Mapping[str, Any], code: str, reason: str) -> None:
        """Set a study aside by what is known of it."""
        study, patient, image = (
            str(values.get(key) or "") for key in ("study_id", "patient_id", "image")
        )
        self.rejections.append(Rejection(study, patient, image, code, reason))
