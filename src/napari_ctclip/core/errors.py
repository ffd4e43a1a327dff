"""What can go wrong, as one tree.

::

    CtClipError                  anything this package refuses, with a message for the user
    ├── DataError                a file or array that cannot be used
    │   ├── UnreadableFile       cut short, damaged, or not the format it claims
    │   ├── NotHounsfield        voxels that are not CT numbers
    │   │   ├── RescaledTwice        HU to which the rescale was applied again
    │   │   └── RescaleUndecidable   HU both before and after a rescale that a table asks for
    │   ├── SeriesChoiceNeeded   several series where one is meant (lists them)
    │   ├── GeometryMismatch     two grids that should coincide and do not
    │   ├── UnknownLabelScheme   a label map whose numbers nobody explained
    │   └── UnwritableFile       a disk or folder that takes no file
    ├── CheckpointMismatch       weights that do not fit the model they are loaded into
    ├── NothingOpen              a session without a scan was asked for what needs one
    ├── NotEncoded               a prompt was asked of a scan that no model has encoded yet
    └── Cancelled                the user stopped it; nothing is lost
"""

from __future__ import annotations

__all__ = [
    "Cancelled",
    "CheckpointMismatch",
    "CtClipError",
    "DataError",
    "GeometryMismatch",
    "NotEncoded",
    "NotHounsfield",
    "NothingOpen",
    "RescaleUndecidable",
    "RescaledTwice",
    "SeriesChoiceNeeded",
    "UnknownLabelScheme",
    "UnreadableFile",
    "UnwritableFile",
]


class CtClipError(Exception):
    """Anything this package refuses; the message is one sentence for the user."""


class DataError(CtClipError):
    """A file or array that cannot be used as it is."""


class UnreadableFile(DataError):
    """A file that is cut short, damaged, or not what it claims to be."""


class NotHounsfield(DataError):
    """Voxels that are not CT numbers in Hounsfield units."""


class RescaledTwice(NotHounsfield):
    """HU to which slope and intercept were applied once more."""


class RescaleUndecidable(NotHounsfield):
    """Voxels that pass for HU both before and after the rescale an archive's table gives."""


class SeriesChoiceNeeded(DataError):
    """Several series lie where one is meant.

    Parameters
    ----------
    message : str
        What to tell the user.
    choices : tuple of str
        One line a series, in the order that ``--series N`` counts from 1.
    """

    def __init__(self, message: str, choices: tuple[str, ...]) -> None:
        super().__init__(message)
        self.choices = choices


class GeometryMismatch(DataError):
    """Two grids that should coincide and do not."""


class UnknownLabelScheme(DataError):
    """A label map whose numbers nobody explained."""


class UnwritableFile(DataError, OSError):
    """A file that cannot be written; an older one of its name is as it was.

    It takes what an OSError takes: the number, the system's words for it, and the file.
    """

    def __str__(self) -> str:
        return (
            f"{self.filename}: cannot be written ({self.strerror}); "
            "make room or choose another folder"
        )


class CheckpointMismatch(CtClipError):
    """Weights that do not fit the model they are loaded into."""


class NothingOpen(CtClipError):
    """A session without a scan was asked for what needs one."""


class NotEncoded(CtClipError):
    """A prompt was asked of a scan that no model has encoded yet."""


class Cancelled(CtClipError):
    """The user stopped the work; nothing that was there is lost."""
