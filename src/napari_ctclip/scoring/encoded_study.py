"""A study encoded by a model: everything a prompt needs, made once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.encoding.encoding import (
    EncodedScan,
    encode_input,
    restored_scan,
)
from napari_ctclip.encoding.feature_cache import as_cached, cache_key
from napari_ctclip.encoding.memory import SMALLER_WINDOWS
from napari_ctclip.encoding.organ_crops import OrganEmbeddings
from napari_ctclip.encoding.work import PLAIN, Work
from napari_ctclip.models.interface import VisionLanguageModel
from napari_ctclip.preprocessing.specification import ModelInput
from napari_ctclip.regions.token_grid import TokenRegions, body_tokens, token_regions
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.heatmap import TokenIndex
from napari_ctclip.scoring.readout import (
    calibration_notices,
    cut_notices,
    embedded_organs,
    organ_notices,
    scores_of,
    token_index,
)

__all__ = [
    "EncodedStudy",
    "MaskReadout",
    "Ready",
    "answer_prompt",
    "encode_study",
    "read_out_masks",
]


@dataclass(frozen=True, eq=False)
class MaskReadout:
    """What organ masks add to answers.

    Attributes
    ----------
    regions : TokenRegions
        The tokens of every organ.
    organs : OrganEmbeddings or None
        The vectors of organs, for a model that reads out regions.
    """

    regions: TokenRegions
    organs: OrganEmbeddings | None


@dataclass(frozen=True, eq=False)
class EncodedStudy:
    """A scan encoded by a model, ready for prompts.

    Attributes
    ----------
    scan : EncodedScan
        The features and their grid.
    index : TokenIndex
        What prompts are asked of.
    mask_readout : MaskReadout or None
        Its organs, where there are masks.
    notices : tuple of Notice
        What the user should know.
    from_cache : bool
        Whether the features came from the cache.
    """

    scan: EncodedScan
    index: TokenIndex
    mask_readout: MaskReadout | None
    notices: tuple[Notice, ...]
    from_cache: bool

    @property
    def regions(self) -> TokenRegions | None:
        """Tokens of every organ; None without masks."""
        return None if self.mask_readout is None else self.mask_readout.regions

    def with_masks(self, readout: MaskReadout | None) -> EncodedStudy:
        """Return the same scan with other organs."""
        return replace(self, mask_readout=readout)


@dataclass(frozen=True, eq=False)
class Ready:
    """Everything that prompts are asked of.

    Attributes
    ----------
    study : Study
        The scan and its organ masks.
    model : VisionLanguageModel
        The model that encoded it.
    encoding : EncodedStudy
        What it gave.
    """

    study: Study
    model: VisionLanguageModel
    encoding: EncodedStudy


def encode_study(
    model: VisionLanguageModel,
    study: Study,
    *,
    work: Work = PLAIN,
) -> EncodedStudy:
    """Return a study encoded by a model, its features from the cache where they are there.

    Raises
    ------
    Cancelled
        If the work was stopped.
    """
    key = cache_key(study.volume.content_hash(), model.weights_hash(), model.preprocessing.hash())
    model_input = model.preprocessing.prepare(study.volume)
    features, notices = work.cached(key)
    if features is not None:
        scan = restored_scan(model, model_input, features, device=work.device)
    else:
        scan = encode_input(model, model_input, work=work)
        scan = replace(scan, features=as_cached(scan.features))
        notices += scan.notices
        if not any(notice.code == SMALLER_WINDOWS for notice in scan.notices):
            notices += work.store(key, scan.features)
    scan = scan.within(body_tokens(study.volume, scan.input_geometry, model.patch_size))
    readout = read_out_masks(
        model,
        (study.volume, model_input),
        study.organ_masks,
        scan=scan,
        work=work,
    )
    organs = None if readout is None else readout.organs
    notices += () if organs is None else organs.notices
    notices += organ_notices(model, () if organs is None else organs.vectors)
    notices += calibration_notices(model)
    return EncodedStudy(scan, token_index(model, scan), readout, notices, features is not None)


def read_out_masks(
    model: VisionLanguageModel,
    volume_and_input: tuple[Volume, ModelInput | None],
    masks: OrganMasks | None,
    *,
    scan: EncodedScan,
    work: Work = PLAIN,
) -> MaskReadout | None:
    """Return what organ masks add to the answers of an encoded scan; None without masks."""
    if masks is None:
        return None
    volume, model_input = volume_and_input
    organs = embedded_organs(
        model,
        volume,
        masks,
        model_input=model_input,
        work=work,
    )
    return MaskReadout(token_regions(masks, scan.input_geometry, model.patch_size), organs)


def answer_prompt(model: VisionLanguageModel, encoded: EncodedStudy, prompt: Prompt) -> Answer:
    """Return the answer of an encoded study to a prompt, in milliseconds.

    Raises
    ------
    DataError
        If the scan is smaller than a token of the model: none can answer.
    """
    if not encoded.scan.inside.any():
        token = " x ".join(f"{mm:.0f}" for mm in encoded.scan.token_geometry.spacing_mm)
        raise DataError(
            f"no token of {model.name!r} lies half in the body of this scan (z, y, x: {token} mm "
            "each), so none can answer; open a larger scan, or choose a model of smaller tokens"
        )
    similarity_map = encoded.index.similarity_map(prompt)
    organs = None if encoded.mask_readout is None else encoded.mask_readout.organs
    scores = scores_of(model, similarity_map, encoded.regions, organs)
    answer = Answer(prompt, similarity_map, scores)
    if not scores:  # the model gave no number
        return answer
    notices = cut_notices(answer.focus.anatomy, encoded.regions, encoded.scan.inside)
    return replace(answer, notices=notices)
