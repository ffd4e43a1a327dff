"""OrganNaming: what a model calls a region, among the organs whose names were queried."""

from __future__ import annotations

from dataclasses import dataclass

from napari_ctclip.core.anatomy import GROUPS, anatomy_label

__all__ = ["OrganNaming", "organ_sentence"]


@dataclass(frozen=True)
class OrganNaming:
    """The organ that a model takes a region for.

    Attributes
    ----------
    region : str
        The organ that the region's mask says it is; empty for a drawn region.
    ranked : tuple of (str, float)
        Every organ that was queried, with the cosine of its sentence; most similar first.
    """

    region: str
    ranked: tuple[tuple[str, float], ...]

    @property
    def called(self) -> str:
        """The organ the model calls it."""
        return self.ranked[0][0]

    @property
    def agrees(self) -> bool | None:
        """Whether that is the mask's organ, a part of it, or what it is a part of.

        None where no name of the mask's organ was queried, so that the model could only be wrong.
        """
        if not any(_same(self.region, name) for name, _ in self.ranked):
            return None
        return _same(self.region, self.called)


def organ_sentence(anatomy: str) -> str:
    """Return the sentence that names an organ; the phrasing is ours."""
    return f"This is the {anatomy_label(anatomy)}."


def _same(region: str, name: str) -> bool:
    one, other = ({organ, *GROUPS.get(organ, ())} for organ in (region, name))
    return bool(one & other)
