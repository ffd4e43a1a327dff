"""Splits: which patients train, validate and test; by a seeded hash of the patient's id."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.store.manifest_entry import ManifestEntry, Split

__all__ = ["draw_split", "with_splits"]


def with_splits(
    entries: Sequence[ManifestEntry], *, valid: float, test: float, seed: int
) -> tuple[ManifestEntry, ...]:
    """Return the studies with a split each; given splits stay.

    A patient's studies without a split follow the patient's others; else the patient's split is
    drawn, the same whatever other patients there are.

    Raises
    ------
    DataError
        If the shares leave nothing to train on.
    """
    if min(valid, test) < 0 or valid + test >= 1:
        raise DataError(
            f"validation share {valid:g} and test share {test:g} leave no training studies; "
            "expected shares from 0 that add up to less than 1"
        )
    given = {entry.patient_id: entry.split for entry in entries if entry.split is not None}
    return tuple(
        entry.model_copy(
            update={
                "split": given.get(entry.patient_id)
                or draw_split(entry.patient_id, valid=valid, test=test, seed=seed)
            }
        )
        for entry in entries
    )


def draw_split(patient_id: str, *, valid: float, test: float, seed: int) -> Split:
    """Return a patient's split: a number hashed from the id falls into one of the shares."""
    digest = sha256(f"{seed}:{patient_id}".encode()).digest()
    number = int.from_bytes(digest[:8], "big") / 2**64
    if number < test:
        return "test"
    return "valid" if number < test + valid else "train"
