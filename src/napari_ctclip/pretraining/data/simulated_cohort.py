"""SimulatedCohort: studies made from seeds, with reports and captions; TokensAhead encodes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from napari_ctclip.core.anatomy import anatomy_label, members
from napari_ctclip.models.towers.locked_tower import LockedTower3d
from napari_ctclip.preprocessing.specification import Preprocessing
from napari_ctclip.pretraining.data.random_crops import draw_flips, draw_start, flipped
from napari_ctclip.pretraining.data.samples import SampleSource, TrainingSample
from napari_ctclip.pretraining.data.sentences import Vocabulary, load_vocabulary
from napari_ctclip.reports.captions import OrganCaption
from napari_ctclip.simulation import SimulatedStudy, simulate_study

__all__ = ["SimulatedCohort", "TokensAhead", "simulated_abnormalities"]

_CAPTION_STREAM = 7
_NORMAL = (
    "The {} is normal.",
    "The {} is unremarkable.",
    "No abnormality of the {}.",
    "{} without finding.",
)


@dataclass(frozen=True, eq=False)
class _Prepared:
    study_id: str
    image: npt.NDArray[np.float32]
    masks: npt.NDArray[np.uint8]  # (R / 8, D, H, W), one bit an anatomy: a cohort lies in memory
    captions: tuple[OrganCaption, ...]
    report: str
    extent: tuple[int, ...]  # voxels that were scanned; the rest is padding at the end


class SimulatedCohort:
    """Simulated chest CT studies, each made when it is first asked for and then kept in memory.

    Parameters
    ----------
    seeds : sequence of int
        One study each.
    preprocessing : Preprocessing
        The preprocessing of the model; studies are simulated at its spacing.
    anatomies : sequence of str
        Groups of the anatomy vocabulary, one mask and caption each.
    crop : tuple of int
        Voxels (z, y, x) of a sample; a smaller study is padded at its end.
    flip : float
        The probability of a flip along each axis.
    shift : bool
        Whether a study that is smaller than the crop lies anywhere in it, instead of at its start.
    report : {"whole", "impression"}
        What of the report a sample has.
    keep : bool
        Whether studies stay in memory.
    simulate : callable, optional
        Makes the study of a seed; ``simulate_study`` at the model's spacing by default.

    References
    ----------
    Shui et al. 2025 (arXiv 2501.14548), implementation details: random crop, flips at 0.2.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        *,
        preprocessing: Preprocessing,
        anatomies: Sequence[str],
        crop: tuple[int, int, int],
        flip: float = 0.0,
        shift: bool = False,
        report: Literal["whole", "impression"] = "whole",
        keep: bool = True,
        simulate: Callable[[int], SimulatedStudy] | None = None,
    ) -> None:
        self.seeds = tuple(seeds)
        self.preprocessing = preprocessing
        self.crop, self.flip, self.shift = crop, flip, shift
        self.report, self.keep = report, keep
        self._simulate = simulate or partial(simulate_study, spacing_mm=preprocessing.spacing_mm)
        self._anatomies = tuple(anatomies)
        self._prepared: dict[int, _Prepared] = {}

    @property
    def anatomies(self) -> tuple[str, ...]:
        """Names of the masks and captions."""
        return self._anatomies

    def __len__(self) -> int:
        return len(self.seeds)

    def sample(self, index: int, rng: np.random.Generator) -> TrainingSample:
        """Return a random crop of one study."""
        study = self._study(self.seeds[index])
        start = draw_start(study.image.shape[1:], self.crop, rng)
        image, bits = (_cut(array, start, self.crop) for array in (study.image, study.masks))
        if self.shift:
            slack = (max(0, c - n) for c, n in zip(self.crop, study.extent, strict=True))
            steps = [int(rng.integers(0, most + 1)) for most in slack]
            # what comes in at the start is the padding of the end
            image, bits = (np.roll(array, steps, axis=(1, 2, 3)) for array in (image, bits))
        masks = np.unpackbits(bits, axis=0, count=len(self._anatomies)).view(bool)
        axes = draw_flips(self.flip, rng)
        return TrainingSample(
            study_id=study.study_id,
            image=flipped(image, axes),
            masks=flipped(masks, axes),
            captions=study.captions,
            report=study.report,
        )

    def _study(self, seed: int) -> _Prepared:
        prepared = self._prepared.get(seed)
        if prepared is None:
            prepared = self._prepare(self._simulate(seed), seed)
            if self.keep:
                self._prepared[seed] = prepared
        return prepared

    def _prepare(self, simulated: SimulatedStudy, seed: int) -> _Prepared:
        study = simulated.study
        prepared = self.preprocessing.prepare(study.volume)
        organs, report = study.organ_masks, study.report
        assert organs is not None
        assert report is not None
        transform = organs.geometry.transform_to(self.preprocessing.orientation)
        labels = transform.apply(organs.labels)
        masks = np.zeros((len(self._anatomies), *prepared.image.shape[1:]), dtype=bool)
        inside = tuple(slice(n) for n in labels.shape)  # padding comes at the end
        for mask, anatomy in zip(masks, self._anatomies, strict=True):
            numbers = [organs.legend[name] for name in members(anatomy, organs.legend)]
            mask[inside] = np.isin(labels, numbers)
        rng = np.random.default_rng([seed, _CAPTION_STREAM])
        vocabulary = load_vocabulary()
        captions = tuple(
            _caption(simulated, anatomy, vocabulary, rng) for anatomy in self._anatomies
        )
        findings = report.findings if self.report == "whole" else ""
        text = f"{findings} {report.impression}".strip()
        packed = np.packbits(masks, axis=0)
        return _Prepared(study.study_id, prepared.image, packed, captions, text, labels.shape)


def _caption(
    simulated: SimulatedStudy, anatomy: str, vocabulary: Vocabulary, rng: np.random.Generator
) -> OrganCaption:
    """Return what is said of an anatomy: a phrasing of each finding in it, or that it is normal."""
    found = {lesion.finding for lesion in simulated.lesions if members(anatomy, [lesion.anatomy])}
    if not found:
        text = str(rng.choice(_NORMAL)).format(anatomy_label(anatomy))
        return OrganCaption(text[:1].upper() + text[1:], normal=True)
    phrasings = [vocabulary.draw(f, rng) for f in vocabulary.findings if f.name in found]
    text = " ".join(w.rstrip(".") + "." for w in phrasings)
    return OrganCaption(text, normal=False, abnormalities=frozenset(found))


def _cut(
    array: npt.NDArray[Any], start: tuple[int, int, int], crop: tuple[int, int, int]
) -> npt.NDArray[Any]:
    """Return a crop of (N, D, H, W), zero (air, no mask) where it reaches beyond."""
    box = tuple(slice(s, s + size) for s, size in zip(start, crop, strict=True))
    part = array[(slice(None), *box)]
    missing = [size - n for size, n in zip(crop, part.shape[1:], strict=True)]
    return np.pad(part, [(0, 0), *((0, m) for m in missing)])


def simulated_abnormalities(anatomies: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Return (finding, phrasing) pairs of every anatomy, one for each term of the vocabulary.

    A finding is of an anatomy that holds its tissue, or that its tissue holds.
    """
    return {
        anatomy: [
            (finding.name, term)
            for finding in load_vocabulary().findings
            if members(anatomy, [finding.tissue]) or members(finding.tissue, [anatomy])
            for term in finding.terms
        ]
        for anatomy in anatomies
    }


_STREAM = 0

Words = tuple[str, tuple[OrganCaption, ...], str]
"""What is kept of a sample as it is: its study's id, captions and report."""


class TokensAhead:
    """A source of samples with the locked tower's tokens in the image's place.

    All of them are kept in two arrays: many small blocks among the voxels that come and go would
    leave holes in memory that nothing fits into.

    Parameters
    ----------
    source : SampleSource
        The source of the samples; each is drawn once, so its random numbers are drawn once too.
    encoder : LockedTower3d
        The encoder of a model that will be trained, or of one with the same tower.
    """

    def __init__(self, source: SampleSource, encoder: LockedTower3d) -> None:
        self._source, self._encoder = source, encoder
        self._words: dict[int, Words] = {}
        self._making = Lock()
        self._tokens = np.empty(0, np.float32)  # (N, T, d, h, w)
        self._bits = np.empty(0, np.uint8)  # (N, R / 8, D, H, W), one bit an anatomy

    @property
    def anatomies(self) -> tuple[str, ...]:
        """Names of the masks and captions."""
        return self._source.anatomies

    def __len__(self) -> int:
        return len(self._source)

    def sample(self, index: int, rng: np.random.Generator) -> TrainingSample:
        """Return a sample; ``rng`` is not used."""
        if index not in self._words:
            self._look(index)
        study_id, captions, report = self._words[index]
        masks = np.unpackbits(self._bits[index], axis=0, count=len(captions)).view(bool)
        return TrainingSample(study_id, self._tokens[index], masks, captions, report)

    def _look(self, index: int) -> None:
        sample = self._source.sample(index, np.random.default_rng([index, _STREAM]))
        tokens = self._encoder.ahead(torch.from_numpy(sample.image)[None])[0].numpy()
        bits = np.packbits(sample.masks, axis=0)
        with self._making:
            if not len(self._tokens):
                self._bits = np.empty((len(self), *bits.shape), np.uint8)
                self._tokens = np.empty((len(self), *tokens.shape), np.float32)
        self._tokens[index], self._bits[index] = tokens, bits
        self._words[index] = (sample.study_id, sample.captions, sample.report)
