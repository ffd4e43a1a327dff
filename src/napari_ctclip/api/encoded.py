"""A scan that a model has encoded, and its answers, as a notebook asks for and shows them."""

from __future__ import annotations

import html
from base64 import b64encode
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.api.scans import Scan, progress_bar, study_of, warn_of
from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.study import Study
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.exporting.content import ExportContent
from napari_ctclip.io.export.exports import heat_slices
from napari_ctclip.models.interface import VisionLanguageModel
from napari_ctclip.models.runtime.device import resolved_device
from napari_ctclip.scoring.answer import Answer as SessionAnswer
from napari_ctclip.session.session import Session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Answer", "EncodedVolume", "encode", "load_model"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Answer(SessionAnswer):
    """The answer of a scan to one prompt.

    Jupyter shows it as three key slices through the peak, with the heatmap and the organs' scores.

    Attributes
    ----------
    prompt : Prompt
        What was asked.
    similarity_map : SimilarityMap
        The similarity of every token, on the token grid.
    scores : tuple of RegionScore
        The score of the whole scan, then that of every organ.
    notices : tuple of Notice
        What the user should know of it.
    study : Study
        The scan.
    model : VisionLanguageModel
        The model that answered.
    """

    study: Study
    model: VisionLanguageModel

    @property
    def score(self) -> float:
        """The similarity in the organ that the prompt names, or in the whole scan."""
        return self.focus.similarity

    @property
    def probability(self) -> float:
        """The probability that belongs to ``score``; a softmax without a calibration."""
        return self.focus.probability

    @property
    def peak_mm(self) -> tuple[float, float, float]:
        """The point of the highest similarity there, in the RAS world of the file, mm."""
        return self.focus.peak.world_mm

    @cached_property
    def heatmap(self) -> npt.NDArray[np.float32]:
        """The similarity (D, H, W) at every voxel of the scan, trilinear; NaN where unknown."""
        slices = list(heat_slices(self.similarity_map, self.study.volume.geometry))
        return np.ascontiguousarray(np.stack(slices, axis=-1))

    def figure(self) -> Figure:
        """Return the three key slices through the peak as a matplotlib figure."""
        from napari_ctclip.exporting.pictures import pictures

        content = ExportContent(self.study, self.model, (self,), (), "auto", self.model.name)
        return next(pictures(content)).figure

    def __repr__(self) -> str:
        x, y, z = self.peak_mm
        lines = [
            f"Answer to {self.prompt.positive!r} against {self.prompt.negative!r} "
            f"by {self.model.name!r}; peak at x {x:.0f}, y {y:.0f}, z {z:.0f} mm (RAS)"
        ]
        for score in (self.whole, *self.organs):
            mark = "  <- score" if score is self.focus else ""
            lines.append(
                f"  {anatomy_label(score.anatomy):24s} similarity {score.similarity:+.3f}  "
                f"probability {score.probability:.2f}{mark}"
            )
        return "\n".join([*lines, *(f"  {notice}" for notice in self.notices)])

    @cached_property
    def _png(self) -> bytes:
        buffer = BytesIO()
        self.figure().savefig(buffer, format="png")
        return buffer.getvalue()

    def _repr_png_(self) -> bytes:
        return self._png

    def _repr_html_(self) -> str:
        picture = b64encode(self._png).decode("ascii")
        text = html.escape(repr(self))
        alternative = html.escape(f"Key slices of {self.prompt.positive}", quote=True)
        return (
            f'<img src="data:image/png;base64,{picture}" alt="{alternative}" '
            f'style="max-width: 100%"><pre>{text}</pre>'
        )


class EncodedVolume:
    """A scan encoded by a model: the slow part is done, prompts take milliseconds.

    ``encode`` makes it.

    Parameters
    ----------
    session : Session
        A session that holds the scan, the model and the encoding.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def study(self) -> Study:
        """The scan, with the organ masks that were given last."""
        return self._session.ready().study

    @property
    def model(self) -> VisionLanguageModel:
        """The model that encoded it."""
        return self._session.ready().model

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What the user should know of the encoding."""
        return self._session.ready().encoding.notices

    def ask(self, prompt: Prompt | str, *, masks: OrganMasks | None = None) -> Answer:
        """Return the answer to a prompt, in milliseconds.

        Parameters
        ----------
        prompt : Prompt or str
            A finding in words. A ``Prompt`` also says what it is contrasted with, the anatomy
            and the templates.
        masks : OrganMasks, optional
            Organs to score; kept for the prompts that follow.

        Raises
        ------
        GeometryMismatch
            If the masks do not lie on the scan.
        DataError
            If the prompt is empty.
        """
        if masks is not None and masks is not self.study.organ_masks:
            self._session.set_masks(self._session.prepare_masks(masks))
        asked = Prompt(prompt) if isinstance(prompt, str) else prompt
        found = self._session.compute_answer(asked)
        return Answer(
            found.prompt,
            found.similarity_map,
            found.scores,
            found.notices,
            study=self.study,
            model=self.model,
        )

    def provenance(self) -> dict[str, Any]:
        """Return what every number depends on: the scan's hash, the model and versions."""
        return self._session.provenance()

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.study.volume.geometry.shape))
        masks = self.study.organ_masks
        organs = "no organ masks" if masks is None else f"{len(masks.legend)} organs"
        return f"EncodedVolume({shape} voxels, model {self.model.name!r}, {organs})"


def encode(
    scan: Scan,
    model: str | Path | VisionLanguageModel = "starter",
    *,
    device: str = "auto",
    cache: FeatureCache | None = None,
    progress: bool = True,
) -> EncodedVolume:
    """Return a scan encoded by a model; features in the cache are not computed again.

    Parameters
    ----------
    scan : Volume or Study
        The scan; the organ masks of a study are scored by every prompt.
    model : str, path or VisionLanguageModel
        A name, a model folder, or a loaded model; see ``load_model``.
    device : str
        ``"auto"`` (a CUDA device if there is one), ``"cpu"``, ``"cuda:0"`` ...
    cache : FeatureCache, optional
        Where features are cached; the user's cache folder by default.
    progress : bool
        Show a progress bar.

    Raises
    ------
    CheckpointMismatch
        If there is no such model.
    """
    session = Session(cache=cache, device=device)
    session.set_study(study_of(scan))
    session.set_model(load_model(model, device=device) if isinstance(model, str | Path) else model)
    with progress_bar("encoding", show=progress) as report:
        encoding = session.compute_encoding(session.work(report))
    warn_of(encoding.notices)
    session.set_encoding(encoding)
    return EncodedVolume(session)


def load_model(name_or_folder: str | Path, *, device: str = "auto") -> VisionLanguageModel:
    """Return a model by its registered name or its folder.

    Parameters
    ----------
    name_or_folder : str or path
        ``"starter"``, ``"starter-2d"`` (bundled); ``"open_clip:ARCHITECTURE/TAG"`` or
        ``"hf-hub:OWNER/NAME"`` where the weights are on this machine; or a model folder.
    device : str
        ``"auto"`` (a CUDA device if there is one), ``"cpu"``, ``"cuda:0"`` ...

    Raises
    ------
    CheckpointMismatch
        If there is no such model, or its folder is incomplete or inconsistent.
    """
    from napari_ctclip.models.factory import load_model as load

    return load(name_or_folder, device=resolved_device(device))
