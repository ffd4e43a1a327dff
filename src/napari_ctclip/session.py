"""Session: a study, a model and the prompts asked of them. No Qt; GUI and CLI are its callers.

Slow work comes in pairs: ``compute_*`` reads the state, changes nothing and may run on any thread;
``set_*`` takes its result, on the caller's own thread, and emits the signals.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_ctclip.core.anatomy_terms import anatomy_in_text
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.similarity_map import SimilarityMap
from napari_ctclip.core.study import Study
from napari_ctclip.regions.body_tokens import body_tokens
from napari_ctclip.regions.token_grid import TokenRegions, token_regions
from napari_ctclip.scoring.feature_cache import FeatureCache, cache_key
from napari_ctclip.scoring.probe import Probe, probe_at
from napari_ctclip.scoring.region_scores import RegionScore

if TYPE_CHECKING:
    # torch comes in with these, 2 s; a session that only shows a scan never pays for it
    from napari_ctclip.models.interface import VisionLanguageModel
    from napari_ctclip.scoring.encoding import EncodedScan, Progress, StopRequested
    from napari_ctclip.scoring.heatmap import TokenIndex
    from napari_ctclip.scoring.organ_crops import OrganEmbeddings

__all__ = ["Answer", "Encoding", "PreparedMasks", "Session", "resolved_device"]


@dataclass(frozen=True, eq=False)
class Answer:
    """What a scan says to one prompt.

    Attributes
    ----------
    prompt : Prompt
        What was asked.
    similarity_map : SimilarityMap
        Where.
    scores : tuple of RegionScore
        The whole scan first, then every organ.
    """

    prompt: Prompt
    similarity_map: SimilarityMap
    scores: tuple[RegionScore, ...]

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


@dataclass(frozen=True, eq=False)
class Encoding:
    """A scan encoded by the session's model, ready for prompts."""

    scan: EncodedScan
    index: TokenIndex
    regions: TokenRegions | None
    notices: tuple[Notice, ...]
    from_cache: bool
    organs: OrganEmbeddings | None = None


@dataclass(frozen=True, eq=False)
class PreparedMasks:
    """Organ masks, and what of them goes into answers where the scan is encoded already."""

    masks: OrganMasks
    regions: TokenRegions | None
    organs: OrganEmbeddings | None = None


class Session:
    """A study, a model and the answers so far.

    Parameters
    ----------
    cache : FeatureCache or None
        Where encodings are kept; the user's cache folder if None.
    device : str
        ``"auto"`` (a CUDA device if there is one), ``"cpu"``, ``"cuda:0"`` ...
    """

    study_changed = Signal(object)
    masks_changed = Signal(object)
    model_changed = Signal(object)
    encoding_changed = Signal(object)
    answered = Signal(object)
    answer_removed = Signal(str)

    def __init__(self, *, cache: FeatureCache | None = None, device: str = "auto") -> None:
        self.cache = cache or FeatureCache()
        self.device = device
        self._study: Study | None = None
        self._model: VisionLanguageModel | None = None
        self._encoding: Encoding | None = None
        self._answers: dict[str, Answer] = {}

    # --- state ----------------------------------------------------------------------------------

    @property
    def study(self) -> Study | None:
        """The open study."""
        return self._study

    @property
    def model(self) -> VisionLanguageModel | None:
        """The loaded model."""
        return self._model

    @property
    def encoding(self) -> Encoding | None:
        """The encoded scan; None until :meth:`set_encoding`."""
        return self._encoding

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Answers in the order the prompts were first asked."""
        return tuple(self._answers.values())

    @property
    def is_ready(self) -> bool:
        """Whether prompts can be asked."""
        return self._encoding is not None

    # --- study, masks, model --------------------------------------------------------------------

    def set_study(self, study: Study | None) -> None:
        """Take another study; answers and encoding of the last one go."""
        self._study = study
        self._drop_encoding()
        self.study_changed.emit(study)
        self.masks_changed.emit(None if study is None else study.organ_masks)

    def prepare_masks(self, masks: OrganMasks) -> PreparedMasks:
        """Return masks with their part in answers: the slow half of :meth:`set_masks`."""
        if self._encoding is None:
            return PreparedMasks(masks, None)
        return PreparedMasks(
            masks, self._regions(masks, self._encoding.scan), self._embedded_organs(masks)
        )

    def set_masks(self, prepared: PreparedMasks | None) -> None:
        """Take organ masks for the open study; every answer gets its organ scores anew.

        Raises
        ------
        CtClipError
            If no study is open.
        GeometryMismatch
            If they do not lie on its grid.
        """
        study = self._require_study()
        masks = None if prepared is None else prepared.masks
        self._study = study.with_masks(masks)
        if self._encoding is not None:
            if masks is None:
                prepared = None
            elif prepared is None or prepared.regions is None:  # prepared before the encoding
                prepared = self.prepare_masks(masks)
            self._encoding = replace(
                self._encoding,
                regions=None if prepared is None else prepared.regions,
                organs=None if prepared is None else prepared.organs,
            )
        self.masks_changed.emit(masks)
        self._answer_again()

    def set_model(self, model: VisionLanguageModel) -> None:
        """Take another model; the scan must be encoded anew."""
        self._model = model
        self._drop_encoding()
        self.model_changed.emit(model)

    def load_model(self, name_or_folder: str = "starter") -> None:
        """Load a model by its registered name or its folder, onto the session's device."""
        self.set_model(self.compute_model(name_or_folder))

    def compute_model(self, name_or_folder: str = "starter") -> VisionLanguageModel:
        """Return a model on the session's device: the slow half of :meth:`load_model`."""
        from napari_ctclip.models.factory import load_model

        return load_model(name_or_folder, device=resolved_device(self.device))

    # --- encode once ----------------------------------------------------------------------------

    def compute_encoding(
        self, *, progress: Progress | None = None, should_stop: StopRequested | None = None
    ) -> Encoding:
        """Return the open scan encoded by the loaded model, from the cache if it is there.

        Raises
        ------
        CtClipError
            If no study is open or no model loaded.
        Cancelled
            If ``should_stop`` answered True.
        """
        from napari_ctclip.scoring.encoding import encode_input, restored_scan
        from napari_ctclip.scoring.readout import embedded_organs, organ_notices, token_index

        study, model = self._require_study(), self._require_model()
        device = resolved_device(self.device)
        key = cache_key(
            study.volume.content_hash(), model.weights_hash(), model.preprocessing.hash()
        )
        model_input = model.preprocessing.prepare(study.volume)
        features, notices = self.cache.load(key)
        if features is not None:
            scan = restored_scan(model, model_input, features, device=device)
        else:
            scan = encode_input(
                model, model_input, device=device, progress=progress, should_stop=should_stop
            )
            notices += self.cache.store(key, scan.features)
        scan = scan.within(body_tokens(study.volume, scan.input_geometry, model.patch_size))
        organs = embedded_organs(
            model,
            study.volume,
            study.organ_masks,
            cache=self.cache,
            model_input=model_input,
            device=device,
            progress=progress,
            should_stop=should_stop,
        )
        return Encoding(
            scan,
            token_index(model, scan),
            self._regions(study.organ_masks, scan),
            notices + organ_notices(model, organs),
            features is not None,
            organs,
        )

    def set_encoding(self, encoding: Encoding) -> None:
        """Take an encoding; prompts asked before are answered again."""
        self._encoding = encoding
        self.encoding_changed.emit(encoding)
        self._answer_again()

    # --- ask often ------------------------------------------------------------------------------

    def ask(self, prompt: Prompt | str) -> Answer:
        """Return the answer to a prompt and keep it; asking it again replaces it.

        Raises
        ------
        CtClipError
            If the scan is not encoded yet.
        """
        answer = self.compute_answer(Prompt(prompt) if isinstance(prompt, str) else prompt)
        self.set_answer(answer)
        return answer

    def compute_answer(self, prompt: Prompt) -> Answer:
        """Return the answer to a prompt without keeping it: the slow half of :meth:`ask`.

        Raises
        ------
        CtClipError
            If the scan is not encoded yet.
        """
        return self._answer(prompt)

    def set_answer(self, answer: Answer) -> None:
        """Keep an answer; it replaces the one to the same positive text."""
        self._answers[answer.prompt.positive] = answer
        self.answered.emit(answer)

    def answer_to(self, positive: str) -> Answer | None:
        """Return the answer to a prompt asked before, by its positive text."""
        return self._answers.get(positive)

    def remove(self, positive: str) -> None:
        """Forget a prompt."""
        if self._answers.pop(positive, None) is not None:
            self.answer_removed.emit(positive)

    def probe(self, index: tuple[int, int, int]) -> Probe:
        """Return what lies at a voxel (z, y, x): HU, organ, and findings ranked for that spot."""
        study = self._require_study()
        return probe_at(
            study,
            index,
            token_index=None if self._encoding is None else self._encoding.index,
            prompts=self._known_prompts(),
        )

    def provenance(self) -> dict[str, Any]:
        """Return what a number depends on: input hash, model, preprocessing, versions."""
        study, model = self._require_study(), self._require_model()
        packages = ("napari-ctclip", "torch", "numpy", "scipy", "nibabel", "pydicom", "SimpleITK")
        masks = study.organ_masks
        return {
            "input": {
                "content_sha256": study.volume.content_hash(),
                "shape": list(study.volume.geometry.shape),
                "spacing_mm": list(study.volume.geometry.spacing_mm),
            },
            "organ_masks": None if masks is None else masks.source,
            "model": {"name": model.name, "weights_sha256": model.weights_hash()},
            "preprocessing": model.preprocessing.to_dict(),
            "calibration": None if model.calibration is None else asdict(model.calibration),
            "device": resolved_device(self.device),
            "versions": {name: version(name) for name in packages}
            | {"python": platform.python_version()},
        }

    # --- inside ---------------------------------------------------------------------------------

    def _answer(self, prompt: Prompt) -> Answer:
        model, encoding = self._require_model(), self._encoding
        if encoding is None:
            raise CtClipError(
                "the scan is not encoded yet; press Encode (or wait until it is done)"
            )
        from napari_ctclip.scoring.readout import scores_of

        similarity_map = encoding.index.similarity_map(prompt)
        scores = scores_of(model, similarity_map, encoding.regions, encoding.organs)
        return Answer(prompt, similarity_map, scores)

    def _answer_again(self) -> None:
        if self._encoding is None:
            return
        for prompt in [answer.prompt for answer in self._answers.values()]:
            self.ask(prompt)

    def _drop_encoding(self) -> None:
        self._encoding = None
        for positive in list(self._answers):
            self.remove(positive)
        self.encoding_changed.emit(None)

    def _regions(self, masks: OrganMasks | None, scan: EncodedScan | None) -> TokenRegions | None:
        if masks is None or scan is None:
            return None
        return token_regions(masks, scan.input_geometry, self._require_model().patch_size)

    def _embedded_organs(self, masks: OrganMasks) -> OrganEmbeddings | None:
        from napari_ctclip.scoring.readout import embedded_organs

        return embedded_organs(
            self._require_model(),
            self._require_study().volume,
            masks,
            cache=self.cache,
            device=resolved_device(self.device),
        )

    def _known_prompts(self) -> Sequence[Prompt]:
        asked = [answer.prompt for answer in self._answers.values()]
        suggested = () if self._model is None else self._model.suggested_prompts
        known = {prompt.positive for prompt in asked}
        return asked + [Prompt(text) for text in suggested if text not in known]

    def _require_study(self) -> Study:
        if self._study is None:
            raise CtClipError("no CT is open; open a NIfTI file or a DICOM folder first")
        return self._study

    def _require_model(self) -> VisionLanguageModel:
        if self._model is None:
            raise CtClipError("no model is loaded; load 'starter' or a model folder first")
        return self._model


def resolved_device(device: str) -> str:
    """Return the device meant by "auto": a CUDA device if there is one."""
    import torch

    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"
