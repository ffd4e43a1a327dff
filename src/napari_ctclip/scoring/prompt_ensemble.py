"""Prompt ensembles: several phrasings that a model encodes as one text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.prompt import Prompt

if TYPE_CHECKING:
    from torch import Tensor

    from napari_ctclip.models.interface import VisionLanguageModel

__all__ = ["ENSEMBLES", "Ensemble", "embed_prompts", "ensemble_text", "with_ensembles"]

Ensemble = Literal["mean-embedding", "mean-logit"]
ENSEMBLES: tuple[Ensemble, ...] = get_args(Ensemble)

_BETWEEN = " / "


def embed_prompts(model: VisionLanguageModel, prompts: Sequence[Prompt]) -> Tensor:
    """Return the vectors (P, 2, E) of prompts: of each the positive's, then the negative's.

    A prompt whose templates are an ensemble has the mean of their unit vectors, made a unit vector
    again.

    References
    ----------
    Radford et al. 2021 (arXiv 2103.00020), section 3.1.4: ensembling over the embedding space.
    """
    groups = [group for prompt in prompts for group in (prompt.positives, prompt.negatives)]
    return _embed_groups(model, groups, unit=True).reshape(len(prompts), 2, -1)


def ensemble_text(phrasings: Sequence[str]) -> str:
    """Return the one text that stands for several phrasings, for people to read."""
    return _BETWEEN.join(" ".join(phrasing.split()) for phrasing in phrasings)


def with_ensembles(
    model: VisionLanguageModel, phrasings: Sequence[Sequence[str]], *, ensemble: Ensemble
) -> VisionLanguageModel:
    """Return the model, encoding the :func:`ensemble_text` of a group as all its phrasings.

    Everything else is the model's own, so an ensemble is read out as any prompt is.

    Parameters
    ----------
    model : VisionLanguageModel
        The model; its weights' hash is kept, so that cached features of it are shared.
    phrasings : sequence of sequences of str
        The groups; a group of one needs nothing.
    ensemble : {"mean-embedding", "mean-logit"}
        ``"mean-embedding"``: the mean of the unit vectors, made a unit vector again (Radford et al.
        2021, section 3.1.4). ``"mean-logit"``: the mean of the phrasings' logits, which is the
        logit of the mean vector left as short as it is (as RADAR's zero-shot scripts do).

    Raises
    ------
    DataError
        If there is no such ensemble.
    """
    if ensemble not in ENSEMBLES:
        raise DataError(f"no ensemble {ensemble!r}; expected one of {', '.join(ENSEMBLES)}")
    groups = {ensemble_text(group): tuple(group) for group in phrasings if len(group) > 1}
    if not groups:
        return model
    unit = ensemble == "mean-embedding"
    return cast("VisionLanguageModel", _EnsembleModel(model, groups, unit=unit))


class _EnsembleModel:
    """A model whose ``embed_text`` knows some texts as ensembles."""

    def __init__(
        self, model: VisionLanguageModel, groups: Mapping[str, tuple[str, ...]], *, unit: bool
    ) -> None:
        self._model = model
        self._groups = groups
        self._unit = unit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Return (T, E); an ensemble's row is the mean over its phrasings."""
        phrasings = [self._groups.get(text, (text,)) for text in texts]
        return _embed_groups(self._model, phrasings, unit=self._unit)


def _embed_groups(
    model: VisionLanguageModel, groups: Sequence[Sequence[str]], *, unit: bool
) -> Tensor:
    """Return one vector a group (G, E): the mean over its texts; a text alone keeps its own."""
    rows = model.embed_text([text for group in groups for text in group])
    sizes = [len(group) for group in groups]
    if set(sizes) == {1}:
        return rows
    # torch takes 2 s to import, and the window reads task files before any model is loaded
    import torch
    from torch.nn import functional

    means = torch.stack([part.mean(dim=0) for part in torch.split(rows.float(), sizes)])
    return functional.normalize(means, dim=1) if unit else means
