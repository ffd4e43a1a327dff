"""Answer: what a scan says to one prompt."""

from __future__ import annotations

from dataclasses import dataclass

from napari_ctclip.core.anatomy_terms import anatomy_in_text
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.scoring.region_scores import RegionScore

__all__ = ["Answer"]


@dataclass(frozen=True, eq=False)
class Answer:
    """What a scan says to one prompt.

    Attributes
    ----------
    prompt : Prompt
        What was asked.
    similarity_map : SimilarityMap
        The similarity of every token.
    scores : tuple of RegionScore
        The whole scan first, then every organ.
    notices : tuple of Notice
        What the user should know of it.
    """

    prompt: Prompt
    similarity_map: SimilarityMap
    scores: tuple[RegionScore, ...]
    notices: tuple[Notice, ...] = ()

    @property
    def whole(self) -> RegionScore:
        """The score of the whole scan."""
        return self.scores[0]

    @property
    def organs(self) -> tuple[RegionScore, ...]:
        """The scores of the organs, highest similarity first."""
        return tuple(sorted(self.scores[1:], key=lambda s: s.similarity, reverse=True))

    @property
    def focus(self) -> RegionScore:
        """The score of the organ the prompt speaks of, or the whole scan's if there is none."""
        wanted = self.prompt.anatomy or anatomy_in_text(self.prompt.positive)
        return next((s for s in self.scores if s.anatomy == wanted), self.whole)
