"""History: what was, what is, and what can come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["History"]

_State = TypeVar("_State")
_MOST_STEPS = 200


@dataclass(frozen=True)
class History(Generic[_State]):
    """States with undo and redo, each stored whole.

    Attributes
    ----------
    present : object
        The state now.
    past : tuple
        States before, oldest first; at most 200.
    future : tuple
        States that were taken back, next first.
    """

    present: _State
    past: tuple[_State, ...] = ()
    future: tuple[_State, ...] = ()

    def then(self, state: _State) -> History[_State]:
        """Return it one step on; nothing is left to redo."""
        return History(state, (*self.past, self.present)[-_MOST_STEPS:])

    def undone(self) -> History[_State]:
        """Return it one step back; itself if there is none."""
        if not self.past:
            return self
        return History(self.past[-1], self.past[:-1], (self.present, *self.future))

    def redone(self) -> History[_State]:
        """Return it with the step that was taken back last; itself if there is none."""
        if not self.future:
            return self
        return History(self.future[0], (*self.past, self.present), self.future[1:])
