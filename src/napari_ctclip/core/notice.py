"""Notice: something the user should know about a file or an answer, shown alike by GUI and CLI."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Notice", "Severity"]


class Severity(StrEnum):
    """How much a notice matters."""

    INFO = "info"
    WARNING = "warning"


@dataclass(frozen=True)
class Notice:
    """One remark about the data, with its reason.

    Attributes
    ----------
    severity : Severity
        Information, or a warning that the answer may be wrong.
    code : str
        Stable short name, e.g. ``"missing-slices"``; tests and callers match on it.
    message : str
        One sentence for the user: what was found, what was done about it.
    path : str
        File or folder it is about; empty if none.
    """

    severity: Severity
    code: str
    message: str
    path: str = ""

    def __str__(self) -> str:
        where = f" [{self.path}]" if self.path else ""
        return f"{self.severity}: {self.message}{where}"
