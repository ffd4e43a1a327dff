"""Read-out: how a model answers for organs: index, embeddings, scores, and what to mind."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from napari_ctclip.core.anatomy import anatomy_label, members
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.core.volume import Volume
from napari_ctclip.encoding.encoding import EncodedScan
from napari_ctclip.encoding.organ_crops import (
    OrganEmbeddings,
    embed_organs,
    load_organs,
    organ_key,
    store_organs,
)
from napari_ctclip.encoding.work import PLAIN, Work
from napari_ctclip.models.interface import AnatomyModel, VisionLanguageModel
from napari_ctclip.preprocessing.specification import ModelInput
from napari_ctclip.regions.token_grid import TokenRegions
from napari_ctclip.scoring.heatmap import AnatomyTokenIndex, TokenIndex, queried_anatomy
from napari_ctclip.scoring.prompt_ensemble import embed_prompts
from napari_ctclip.scoring.region_scores import RegionScore, probability, region_scores
from napari_ctclip.scoring.similarity import background_similarity, contrast

__all__ = [
    "anatomy_model_of",
    "calibration_notices",
    "cut_notices",
    "cut_organs",
    "embedded_organs",
    "organ_notices",
    "organ_scores",
    "organ_similarities",
    "scores_of",
    "templates_notices",
    "token_index",
]


_CUT = 0.75
"""Ours: of an organ's widest section. A chest scan may end in the bases of the lungs, at about half
of it, and shows them all the same."""

_SEEN_WITH = {"thoracic_cavity": "lung"}
"""The hull of the lungs is always widest at its end."""

_WHOLE = (
    "lung", "heart", "liver", "spleen", "kidney", "pancreas", "stomach", "gallbladder", "adrenal",
    "urinary_bladder", "prostate", "thyroid", "brain",
)  # fmt: skip
"""Beginnings of the names of what a scan can hold as a whole; it always cuts vessels and bones."""


def token_index(model: VisionLanguageModel, scan: EncodedScan) -> TokenIndex:
    """Return the index that prompts are asked of."""
    anatomy_model = anatomy_model_of(model)
    if anatomy_model is None:
        return TokenIndex(model, scan)
    return AnatomyTokenIndex(anatomy_model, scan)


def embedded_organs(
    model: VisionLanguageModel,
    volume: Volume,
    masks: OrganMasks | None,
    *,
    model_input: ModelInput | None = None,
    work: Work = PLAIN,
) -> OrganEmbeddings | None:
    """Return the embeddings of a scan's organs; None for a model that reads out dense tokens.

    Parameters
    ----------
    volume : Volume
        The scan.
    masks : OrganMasks or None
        The masks, on the scan's own grid. Without any there is nothing to embed.
    model_input : ModelInput, optional
        The scan as the model sees it; prepared here if it is not at hand.
    work : Work
        Its cache is looked in first and written to after.

    Raises
    ------
    Cancelled
        If the work was stopped.
    """
    anatomy_model = anatomy_model_of(model)
    if anatomy_model is None or masks is None:
        return None
    key = organ_key(anatomy_model, volume, masks)
    organs = load_organs(work, key, anatomy_model.anatomies)
    if organs is not None:
        return organs
    organs = embed_organs(
        anatomy_model,
        model_input or model.preprocessing.prepare(volume),
        masks,
        work=work,
    )
    store_organs(work, key, organs, anatomy_model.anatomies)
    return organs


def organ_notices(model: VisionLanguageModel, found: Collection[str]) -> tuple[Notice, ...]:
    """Return what the user should know about organs the model cannot answer for.

    Parameters
    ----------
    found : collection of str
        The anatomies it can answer for, by the organ masks.
    """
    anatomy_model = anatomy_model_of(model)
    if anatomy_model is None:
        return ()
    known = ", ".join(anatomy_label(name) for name in anatomy_model.anatomies)
    missing = [anatomy_label(n) for n in anatomy_model.anatomies if n not in found]
    if not found:
        return (
            Notice(
                Severity.WARNING,
                "organ-masks-needed",
                f"model {model.name!r} scores organs ({known}) and found no mask of any; give "
                "organ masks, or take its heatmap with care: no score comes from its own read-out",
            ),
        )
    if not missing:
        return ()
    return (
        Notice(
            Severity.INFO,
            "organs-not-scored",
            f"model {model.name!r} also knows {', '.join(missing)}, which the organ masks lack; a "
            "label map that has them brings their scores",
        ),
    )


def calibration_notices(model: VisionLanguageModel) -> tuple[Notice, ...]:
    """Return what the user should know about probabilities that were never fitted to anything."""
    if model.calibration is not None:
        return ()
    return (
        Notice(
            Severity.INFO,
            "not-calibrated",
            f"model {model.name!r} brings no calibration: a probability is the softmax between a "
            "prompt and its negative, CLIP's zero-shot rule; compare it between scans, do not read "
            "it as a probability of disease",
        ),
    )


def templates_notices(model: VisionLanguageModel, templates: TemplateSet) -> tuple[Notice, ...]:
    """Return what the user should know about probabilities of prompts put in templates."""
    if model.calibration is None or templates == AS_TYPED:
        return ()
    return (
        Notice(
            Severity.INFO,
            "templates-not-calibrated",
            f"the calibration of model {model.name!r} was fitted to prompts as typed; with "
            f"templates {templates.name!r} its probabilities were not checked",
        ),
    )


def scores_of(
    model: VisionLanguageModel,
    similarity_map: SimilarityMap,
    regions: TokenRegions | None,
    organs: OrganEmbeddings | None,
) -> tuple[RegionScore, ...]:
    """Return the whole scan's score, then one an organ: its own embedding's where there is one."""
    anatomy_model = anatomy_model_of(model)
    if anatomy_model is not None and organs is not None and organs.vectors and regions is not None:
        return organ_scores(anatomy_model, organs, similarity_map, regions)
    return region_scores(
        similarity_map,
        # a region model's tokens were never trained to answer for an organ
        regions if anatomy_model is None else None,
        scale=float(model.logit_scale.exp()),
        calibration=model.calibration,
    )


def anatomy_model_of(model: VisionLanguageModel) -> AnatomyModel | None:
    """Return the model if it reads out whole anatomies, None if it reads out dense tokens.

    Raises
    ------
    CtClipError
        If it says the former and lacks what that needs.
    """
    if model.region_readout == "dense":
        return None
    if not hasattr(model, "anatomies") or not hasattr(model, "crop_protocol"):
        raise CtClipError(
            f"model {model.name!r} reads out regions but names no anatomies and no crop protocol; "
            "give it both, or region_readout = 'dense'"
        )
    anatomy_model: AnatomyModel = model  # type: ignore[assignment]
    return anatomy_model


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
        probabilities = [probability(v, scale=scale, calibration=model.calibration) for v in values]
        scored.append(
            replace(
                drawn.get(anatomy, whole),
                anatomy=anatomy,
                similarity=float(np.mean(values)),
                probability=float(np.mean(probabilities)),
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


def cut_organs(regions: TokenRegions, inside: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    """Return the organs that are about as wide where the scan ends as anywhere.

    Parameters
    ----------
    regions : TokenRegions
        The tokens of the organs.
    inside : ndarray of bool, shape (d, h, w)
        The tokens in the body and the field of view.
    """
    return tuple(name for name in regions.tokens if _is_cut(name, regions, inside))


def cut_notices(
    anatomy: str, regions: TokenRegions | None, inside: npt.NDArray[np.bool_]
) -> tuple[Notice, ...]:
    """Return what the user should know of an answer about an anatomy, if the scan cuts it."""
    if regions is None or not _is_cut(anatomy, regions, inside):
        return ()
    message = (
        f"the scan ends where the {anatomy_label(anatomy)} is widest: only a part of it is seen, "
        "while models and their probabilities were fitted to whole ones"
    )
    return (Notice(Severity.WARNING, "organ-cut-by-scan", message),)


def _is_cut(name: str, regions: TokenRegions, inside: npt.NDArray[np.bool_]) -> bool:
    name = _SEEN_WITH.get(name, name)
    tokens = regions.tokens.get(name, ())
    if not name.startswith(_WHOLE) or not len(tokens) or not inside.any():
        return False
    for axis, positions in enumerate(np.unravel_index(tokens, inside.shape)):
        used = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        sections = np.bincount(positions, minlength=inside.shape[axis])
        if max(sections[used[0]], sections[used[-1]]) >= _CUT * sections.max():
            return True
    return False
