"""Session: a study, a model and the prompts asked of them. No Qt; GUI and CLI are its callers.

Slow work comes in pairs: ``compute_*`` reads the state, changes nothing and may run on any thread;
``set_*`` takes its result, on the caller's own thread, and emits the signals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_ctclip.core.errors import CtClipError, NotEncoded, NothingOpen
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.study import Study
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.encoding.work import PLAIN, Progress, StopRequested, Work
from napari_ctclip.explanation.probe import Probe, probe_at
from napari_ctclip.models.runtime.device import resolved_device
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.scoring.provenance import provenance

if TYPE_CHECKING:
    # torch comes in with these, 2 s; a session that only shows a scan never pays for it
    from napari_ctclip.audit.study_check import StudyCheck
    from napari_ctclip.models.interface import VisionLanguageModel
    from napari_ctclip.scoring.encoded_study import EncodedStudy, MaskReadout, Ready

__all__ = ["PreparedMasks", "Session"]


@dataclass(frozen=True, eq=False)
class PreparedMasks:
    """Organ masks, and what they add to answers where the scan is encoded already."""

    masks: OrganMasks
    readout: MaskReadout | None


class Session:
    """A study, a model and the answers so far.

    Parameters
    ----------
    cache : FeatureCache or None
        Where features are cached; the user's cache folder if None.
    device : str
        ``"auto"`` (a CUDA device if there is one), ``"cpu"``, ``"cuda:0"`` ...
    """

    study_changed = Signal(object)
    masks_changed = Signal(object)
    model_changed = Signal(object)
    encoding_changed = Signal(object)
    answered = Signal(object)
    answer_removed = Signal(str)
    templates_changed = Signal(TemplateSet)

    def __init__(self, *, cache: FeatureCache | None = None, device: str = "auto") -> None:
        self.cache = cache or FeatureCache()
        self.device = device
        self._study: Study | None = None
        self._model: VisionLanguageModel | None = None
        self._encoding: EncodedStudy | None = None
        self._answers: dict[str, Answer] = {}
        self._templates = AS_TYPED

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
    def encoding(self) -> EncodedStudy | None:
        """The encoded scan; None until :meth:`set_encoding`."""
        return self._encoding

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Answers in the order the prompts were first asked."""
        return tuple(self._answers.values())

    @property
    def templates(self) -> TemplateSet:
        """What findings are put in that nobody asked as a :class:`Prompt` of its own."""
        return self._templates

    @property
    def is_ready(self) -> bool:
        """Whether prompts can be asked."""
        return self._encoding is not None

    def ready(self) -> Ready:
        """Return the study, the model and the encoding that prompts are asked of.

        Raises
        ------
        NothingOpen
            If no study is open.
        NotEncoded
            If no model has encoded it.
        """
        from napari_ctclip.scoring.encoded_study import Ready

        study = self.open_study()
        if self._model is None or self._encoding is None:
            raise NotEncoded("the scan is not encoded yet; encode it with a model first")
        return Ready(study, self._model, self._encoding)

    def open_study(self) -> Study:
        """Return the open study.

        Raises
        ------
        NothingOpen
            If none is open.
        """
        if self._study is None:
            raise NothingOpen("no CT is open; open a NIfTI file or a DICOM folder first")
        return self._study

    def work(
        self,
        progress: Progress = PLAIN.progress,
        should_stop: StopRequested = PLAIN.should_stop,
    ) -> Work:
        """Return how slow work of this session is carried out: its cache and its device."""
        return Work(self.cache, resolved_device(self.device), progress, should_stop)

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
        from napari_ctclip.scoring.encoded_study import read_out_masks

        readout = read_out_masks(
            self._require_model(),
            (self.open_study().volume, None),
            masks,
            scan=self._encoding.scan,
            work=self.work(),
        )
        return PreparedMasks(masks, readout)

    def set_masks(self, prepared: PreparedMasks | None) -> None:
        """Take organ masks for the open study; every answer gets its organ scores anew.

        Raises
        ------
        CtClipError
            If no study is open.
        GeometryMismatch
            If they do not lie on its grid.
        """
        study = self.open_study()
        masks = None if prepared is None else prepared.masks
        self._study = study.with_masks(masks)
        if self._encoding is not None:
            if prepared is not None and prepared.readout is None:  # prepared before the encoding
                prepared = self.prepare_masks(prepared.masks)
            self._encoding = self._encoding.with_masks(
                None if prepared is None else prepared.readout
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

    def compute_encoding(self, work: Work | None = None) -> EncodedStudy:
        """Return the open scan encoded by the loaded model, from the cache if it is there.

        Parameters
        ----------
        work : Work, optional
            Made by :meth:`work`, for progress and a stop on request.

        Raises
        ------
        CtClipError
            If no study is open or no model loaded.
        Cancelled
            If the work was stopped.
        """
        from napari_ctclip.scoring.encoded_study import encode_study

        return encode_study(self._require_model(), self.open_study(), work=work or self.work())

    def compute_check(self) -> StudyCheck:
        """Return what encoding would do to the open study, and what it would take.

        Raises
        ------
        CtClipError
            If no study is open or no model loaded.
        """
        from napari_ctclip.audit.study_check import check_study

        study, model = self.open_study(), self._require_model()
        return check_study(model, study, device=resolved_device(self.device))

    def set_encoding(self, encoding: EncodedStudy) -> None:
        """Take an encoding; prompts asked before are answered again."""
        self._encoding = encoding
        self.encoding_changed.emit(encoding)
        self._answer_again()

    # --- ask often ------------------------------------------------------------------------------

    def ask(self, prompt: Prompt | str) -> Answer:
        """Return the answer to a prompt and keep it; :meth:`compute_answer` says what it raises."""
        if isinstance(prompt, str):
            prompt = Prompt(prompt, templates=self._templates)
        answer = self.compute_answer(prompt)
        self.set_answer(answer)
        return answer

    def compute_answer(self, prompt: Prompt) -> Answer:
        """Return the answer to a prompt without keeping it: the slow half of :meth:`ask`.

        Raises
        ------
        NotEncoded
            If the scan is not encoded yet.
        """
        from napari_ctclip.scoring.encoded_study import answer_prompt

        ready = self.ready()
        return answer_prompt(ready.model, ready.encoding, prompt)

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

    def set_templates(self, templates: TemplateSet) -> None:
        """Put findings in other templates from now on; answers that are there stay as they are."""
        if templates != self._templates:
            self._templates = templates
            self.templates_changed.emit(templates)

    def probe(self, index: tuple[int, int, int]) -> Probe:
        """Return what lies at a voxel (z, y, x): HU, organ, and findings ranked for that point."""
        study = self.open_study()
        return probe_at(
            study,
            index,
            token_index=None if self._encoding is None else self._encoding.index,
            prompts=self._known_prompts(),
        )

    def provenance(self) -> dict[str, Any]:
        """Return what a number depends on: input hash, model, preprocessing, versions."""
        return provenance(
            self.open_study(), self._require_model(), device=resolved_device(self.device)
        )

    # --- inside ---------------------------------------------------------------------------------

    def _answer_again(self) -> None:
        for prompt in [a.prompt for a in self._answers.values() if self._encoding is not None]:
            self.ask(prompt)

    def _drop_encoding(self) -> None:
        self._encoding = None
        for positive in list(self._answers):
            self.remove(positive)
        self.encoding_changed.emit(None)

    def _known_prompts(self) -> Sequence[Prompt]:
        asked = [answer.prompt for answer in self._answers.values()]
        suggested = () if self._model is None else self._model.suggested_prompts
        known = {prompt.positive for prompt in asked}
        return asked + [Prompt(t, templates=self._templates) for t in suggested if t not in known]

    def _require_model(self) -> VisionLanguageModel:
        if self._model is None:
            raise CtClipError("no model is loaded; load 'starter' or a model folder first")
        return self._model
