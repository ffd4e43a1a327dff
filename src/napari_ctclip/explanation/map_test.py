"""Map test: how a score goes as the tokens a heatmap ranks highest are taken away or left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.encoding.work import PLAIN, Work
from napari_ctclip.explanation.faithfulness import SHARES, FaithfulnessCurves, faithfulness_curves
from napari_ctclip.explanation.reencoding import encode_changed
from napari_ctclip.preprocessing.specification import ModelInput
from napari_ctclip.scoring.encoded_study import Ready, answer_prompt

__all__ = ["ENCODINGS", "MapTest", "MapTestRow", "map_test"]

ENCODINGS = 4 * len(SHARES)
"""At most: deletion and insertion, by the map and at random."""

_BACK = 0.9
_GONE = 0.5
"""Ours: a score counts as carried by the tokens that bring nine tenths of it back, and as lost
where half of it is gone."""

_SEED = 0


@dataclass(frozen=True)
class MapTestRow:
    """One step of the curves.

    Attributes
    ----------
    share : float
        The share of the body's tokens.
    tokens : int
        How many these are.
    deletion, insertion : float
        The similarity with these tokens blurred, and with all but these blurred.
    reference_deletion, reference_insertion : float
        The same for as many tokens drawn at random.
    """

    share: float
    tokens: int
    deletion: float
    insertion: float
    reference_deletion: float
    reference_insertion: float


@dataclass(frozen=True)
class MapTest:
    """The curves of one prompt's heatmap in one scan.

    Attributes
    ----------
    prompt : Prompt
        What was asked.
    anatomy : str
        The organ that the prompt speaks of, or the whole scan, whose score is tested.
    token_mm : tuple of float
        The sides (z, y, x) of one token.
    rows : tuple of MapTestRow
        The rows, by rising share.
    """

    prompt: Prompt
    anatomy: str
    token_mm: tuple[float, float, float]
    rows: tuple[MapTestRow, ...]

    @property
    def tokens_that_carry(self) -> int | None:
        """The fewest tokens tried that bring nine tenths of the score back; None if none do.

        Counted from the wholly blurred scan. None also where the scan scores no more than that.
        """
        blank, full = self.rows[0].insertion, self.rows[0].deletion
        if full <= blank:
            return None
        wanted = blank + _BACK * (full - blank)
        return next((row.tokens for row in self.rows[1:] if row.insertion >= wanted), None)

    @property
    def tokens_it_hangs_on(self) -> int | None:
        """The fewest tokens tried without which half of the score is gone; None if none are."""
        blank, full = self.rows[0].insertion, self.rows[0].deletion
        if full <= blank:
            return None
        wanted = full - _GONE * (full - blank)
        return next((row.tokens for row in self.rows[1:] if row.deletion <= wanted), None)

    @property
    def reading(self) -> str:
        """The patch budget in words."""
        carry, hangs = self.tokens_that_carry, self.tokens_it_hangs_on
        last = self.rows[-1].tokens
        if self.rows[0].deletion <= self.rows[0].insertion:
            return "The whole scan scores no more than a blurred one: there is nothing to carry."
        gone = (
            "only once all are taken away" if hangs == last else f"without {_budget(self, hangs)}"
        )
        return (
            f"{_budget(self, carry)} of {last} tokens bring nine tenths of the score back; "
            f"half of it is gone {gone}."
        )


def map_test(ready: Ready, prompt: Prompt, *, work: Work = PLAIN) -> MapTest:
    """Return the deletion and insertion curves of a prompt's map beside those of a random ranking.

    Parameters
    ----------
    ready : Ready
        The scan and the model that the prompt was asked of.
    prompt : Prompt
        The prompt whose map is tested.
    work : Work
        Each of the ``ENCODINGS`` is a step.

    Raises
    ------
    Cancelled
        If the work was stopped.

    References
    ----------
    Petsiuk et al. 2018 (arXiv 1806.07421), section 4.3. Ours: blur in place of grey, the steps, and
    tokens drawn at random as the reference.
    """
    model = ready.model
    original = model.preprocessing.prepare(ready.study.volume)
    answer = answer_prompt(model, ready.encoding, prompt)
    anatomy = answer.focus.anatomy
    asked = 0

    def ask(changed: ModelInput) -> float:
        nonlocal asked
        work.refuse_if_stopped("the test of the map")
        work.progress(asked, ENCODINGS)
        asked += 1
        found = encode_changed(ready, original=original, changed=changed, work=work.silent())
        scores = answer_prompt(model, found, prompt).scores
        return next(s.similarity for s in scores if s.anatomy == anatomy)

    own_map = answer.similarity_map
    own = faithfulness_curves(original, own_map, ask, patch_size=model.patch_size)
    reference = faithfulness_curves(original, _shuffled(own_map), ask, patch_size=model.patch_size)
    sides = own_map.geometry.spacing_mm
    tokens = int(np.isfinite(own_map.values).sum())
    return MapTest(
        prompt, anatomy, sides, _rows(own, reference, [round(s * tokens) for s in SHARES])
    )


def _rows(
    own: FaithfulnessCurves, reference: FaithfulnessCurves, tokens: Sequence[int]
) -> tuple[MapTestRow, ...]:
    columns = (own.deletion, own.insertion, reference.deletion, reference.insertion)
    return tuple(
        MapTestRow(share, count, *values)
        for share, count, *values in zip(SHARES, tokens, *columns, strict=True)
    )


def _budget(tested: MapTest, tokens: int | None) -> str:
    if tokens is None:
        return "not even all"
    millilitres = tokens * float(np.prod(tested.token_mm)) / 1000.0
    size = f"{millilitres:,.0f}" if millilitres >= 10 else f"{millilitres:.1f}"
    return f"{tokens} ({size} ml)"


def _shuffled(similarity_map: SimilarityMap) -> SimilarityMap:
    """Return the map with its values shuffled: a random ranking."""
    values = similarity_map.values.copy()
    known = np.isfinite(values)
    values[known] = np.random.default_rng(_SEED).permutation(values[known])
    return replace(similarity_map, values=values)
