"""Organ scores of a model that embeds whole anatomies: its own embeddings, not the heatmap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from napari_ctclip.core.anatomy import members
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.encoding.organ_crops import OrganEmbeddings
from napari_ctclip.models.interface import VisionLanguageModel
from napari_ctclip.models.published.crop_protocol import AnatomyModel
from napari_ctclip.regions.token_grid import TokenRegions
from napari_ctclip.scoring.prompt_ensemble import embed_prompts
from napari_ctclip.scoring.queried_anatomy import queried_anatomy
from napari_ctclip.scoring.region_scores import RegionScore, probability, region_scores
from napari_ctclip.scoring.similarity import background_similarity, contrast

__all__ = ["organ_scores", "organ_similarities"]


@torch.inference_mode()
def organ_similarities(
    model: VisionLanguageModel, organs: OrganEmbeddings, prompt: Prompt
) -> dict[str, list[float]]:
    """Return each anatomy's similarity to a prompt, one value a crop that holds it."""
    scale = float(model.logit_scale.exp())
    positive, *negatives = embed_prompts(model, [prompt])[0].float().cpu()
    if model.background_prompts:
        negatives += model.embed_text(model.background_prompts).float().cpu()
    against = torch.stack(negatives)
    return {
        anatomy: contrast(
            vectors @ positive, background_similarity(vectors.T, against, scale)
        ).tolist()
        for anatomy, vectors in organs.vectors.items()
    }


def organ_scores(
    model: AnatomyModel,
    organs: OrganEmbeddings,
    similarity_map: SimilarityMap,
    regions: TokenRegions,
) -> tuple[RegionScore, ...]:
    """Return the whole scan's score, then one for each embedded anatomy.

    An anatomy's probability is the mean over its crops. Peaks are the map's. Ours, since the model
    has no embedding of the whole: the scan scores as the anatomy the prompt speaks of, as the map
    if that one has no mask, and as the highest anatomy if the prompt speaks of none.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), zero-shot evaluation: softmax between the positive and the
    negative prompt.
    """
    scale = float(model.logit_scale.exp())
    prompt = similarity_map.prompt
    similarities = organ_similarities(model, organs, prompt)
    places = {name: _tokens_of(name, regions) for name in similarities}
    drawn = {
        row.anatomy: row
        for row in region_scores(similarity_map, TokenRegions(_not_empty(places)), scale=scale)
    }
    whole, *_ = drawn.values()
    scored = []
    for anatomy, values in similarities.items():
        chances = [probability(v, scale=scale, calibration=model.calibration) for v in values]
        scored.append(
            replace(
                drawn.get(anatomy, whole),
                anatomy=anatomy,
                similarity=float(np.mean(values)),
                probability=float(np.mean(chances)),
            )
        )
    wanted = queried_anatomy(prompt, model.anatomies)
    asked = [score for score in scored if wanted in ("", score.anatomy)]
    if asked:
        best = max(asked, key=lambda score: score.similarity)
        whole = replace(whole, similarity=best.similarity, probability=best.probability)
    return (whole, *scored)


def _tokens_of(anatomy: str, regions: TokenRegions) -> npt.NDArray[np.intp]:
    parts = [regions.tokens[name] for name in members(anatomy, regions.tokens)]
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, dtype=np.intp)


def _not_empty(
    places: Mapping[str, npt.NDArray[np.intp]],
) -> dict[str, npt.NDArray[np.intp]]:
    return {name: tokens for name, tokens in places.items() if len(tokens)}
