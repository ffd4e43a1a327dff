"""Dataset: degraded crops of simulated studies with the truth of every token."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.files import write_text
from napari_ctclip.preprocessing.intensity import window_channels
from napari_ctclip.pretraining.data.sentences import load_vocabulary
from napari_ctclip.pretraining.starter.token_targets import (
    TISSUES,
    UNSURE,
    TokenTargets,
    token_targets,
)
from napari_ctclip.simulation import FINDINGS, simulate_study

__all__ = ["LAST_TRAINING_SEED", "StudyFolder", "TrainingCrop", "degrade_crop", "write_studies"]

logger = logging.getLogger(__name__)

LAST_TRAINING_SEED = 49_999
"""Seeds from 50 000 calibrate, seeds from 100 000 evaluate: neither is ever trained on."""

_SPACING_MM = (2.0, 2.0, 2.0)
_AIR_HU = -1024
# Ours: crops are centred more often on what is hardest: few tokens, or like something else; wide
# crops on what its surroundings tell apart
_FINDING_WEIGHT = {
    "lung nodule": 4.0,
    "lung mass": 2.0,
    "coronary calcification": 2.0,
    "aortic calcification": 2.0,
    "cardiomegaly": 0.25,
}
_WIDE_FINDING_WEIGHT = {
    "lung nodule": 2.0,
    "lung mass": 4.0,
    "consolidation": 2.0,
    "atelectasis": 2.0,
    "cardiomegaly": 4.0,
    "pericardial effusion": 2.0,
}
_WIDE_FROM = 72

# Ours: 30 mm part a nodule from a mass, and no reader measures to the millimetre. A lesion of up to
# 36 mm is both, one between 26 and 30 or between 36 and 45 mm is left open.
_ALSO_A_NODULE_MM = 36.0
_PERHAPS_A_NODULE_MM = 45.0
_PERHAPS_A_MASS_MM = 26.0
_OPEN = 1  # voxels of a token: too few for a positive, too many for a negative


@dataclass(frozen=True, eq=False)
class TrainingCrop:
    """One crop as the model sees it, and what its tokens are.

    Attributes
    ----------
    image : ndarray, shape (C, D, H, W), float32
        Prepared channels.
    findings : ndarray, shape (F, d, h, w), uint8
        Voxels of eight that each of ``simulation.FINDINGS`` fills.
    tissue : ndarray, shape (d, h, w), uint8
        Index into ``token_targets.TISSUES``, or ``UNSURE``.
    phrasings : tuple of str
        What the sample says of each finding, then of each tissue, that it shows; empty texts for
        the others.
    study_id : str
        The identifier of the simulated study.
    """

    image: npt.NDArray[np.float32]
    findings: npt.NDArray[np.uint8]
    tissue: npt.NDArray[np.uint8]
    phrasings: tuple[str, ...]
    study_id: str


@dataclass(frozen=True, eq=False)
class _Entry:
    seed: int
    lesions: tuple[dict[str, Any], ...]


class StudyFolder:
    """Simulated studies at 2 mm in a folder, undegraded, read crop by crop.

    Parameters
    ----------
    folder : Path
        Holds ``<seed>_{hu,tokens}.npy`` and ``<seed>.json``, as :func:`write_studies` writes.
    windows_hu : sequence of (low, high)
        Channels of the model.
    lesion_share : float
        The share of the crops that are centred near a lesion.

    Raises
    ------
    DataError
        If there is no study.
    """

    def __init__(
        self,
        folder: Path,
        *,
        windows_hu: tuple[tuple[float, float], ...],
        lesion_share: float = 0.7,
    ) -> None:
        self.folder = folder
        self.windows_hu = windows_hu
        self.lesion_share = lesion_share
        self._entries: dict[int, _Entry] = {}
        self._by_finding: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        for file in _descriptions(folder):
            seed = int(file.stem)
            lesions = tuple(json.loads(file.read_text("utf-8"))["lesions"])
            self._entries[seed] = _Entry(seed, lesions)
            for lesion in lesions:
                self._by_finding.setdefault(lesion["finding"], []).append((seed, lesion))
        if not self._entries:
            raise DataError(
                f"{self.folder} holds no simulated study with a seed up to {LAST_TRAINING_SEED}; "
                "write some with napari-ctclip-train starter --data"
            )

    def __len__(self) -> int:
        return len(self._entries)

    def refreshed(self) -> StudyFolder:
        """Return the folder with the studies that were added, or this object if none was."""
        if len(_descriptions(self.folder)) == len(self):
            return self
        return StudyFolder(self.folder, windows_hu=self.windows_hu, lesion_share=self.lesion_share)

    def draw(self, rng: np.random.Generator, *, size: int) -> TrainingCrop:
        """Return a crop of ``size`` voxels an axis: flipped half the time, degraded anew."""
        seed, centre = self._draw_place(rng, wide=size >= _WIDE_FROM)
        hu = np.load(self.folder / f"{seed}_hu.npy", mmap_mode="r")
        targets = self._targets(seed)
        start = [2 * round((c - size / 2 + rng.uniform(-1, 1) * size * 0.38) / 2) for c in centre]
        start = [
            min(max(s, -8), 2 * (n // 2) - size + 8) for s, n in zip(start, hu.shape, strict=True)
        ]
        voxels = _cut(hu, start, size, fill=_AIR_HU)
        tokens = [s // 2 for s in start]
        findings = np.stack([_cut(f, tokens, size // 2, fill=0) for f in targets.findings])
        for lesion in self._entries[seed].lesions:
            _soften_size(findings, lesion, tokens)
        tissue = _cut(targets.tissue, tokens, size // 2, fill=UNSURE)
        if rng.random() < 0.5:
            voxels, findings, tissue = voxels[..., ::-1], findings[..., ::-1], tissue[..., ::-1]
        image = window_channels(degrade_crop(np.ascontiguousarray(voxels), rng), self.windows_hu)
        return TrainingCrop(
            image,
            np.ascontiguousarray(findings),
            np.ascontiguousarray(tissue),
            _phrasings(findings, tissue, rng),
            f"simulated-{seed}",
        )

    def _draw_place(self, rng: np.random.Generator, *, wide: bool) -> tuple[int, list[float]]:
        if rng.random() < self.lesion_share and self._by_finding:
            names = sorted(self._by_finding)
            weights = _WIDE_FINDING_WEIGHT if wide else _FINDING_WEIGHT
            weight = np.array([weights.get(name, 1.0) for name in names])
            name = names[int(rng.choice(len(names), p=weight / weight.sum()))]
            options = self._by_finding[name]
            seed, lesion = options[int(rng.integers(len(options)))]
            return seed, list(lesion["centre"])
        seeds = sorted(self._entries)
        seed = seeds[int(rng.integers(len(seeds)))]
        shape = np.load(self.folder / f"{seed}_hu.npy", mmap_mode="r").shape
        return seed, [float(rng.uniform(0.1, 0.9) * n) for n in shape]

    def _targets(self, seed: int) -> TokenTargets:
        stored = np.load(self.folder / f"{seed}_tokens.npy", mmap_mode="r")
        return TokenTargets(stored[: len(FINDINGS)], stored[len(FINDINGS)])


def _descriptions(folder: Path) -> list[Path]:
    """Return the files that describe studies of the training seeds, in an order of their own."""
    return [
        file
        for file in sorted(folder.glob("*.json"))
        if file.stem.isdigit() and int(file.stem) <= LAST_TRAINING_SEED
    ]


def _phrasings(
    findings: npt.NDArray[np.uint8], tissue: npt.NDArray[np.uint8], rng: np.random.Generator
) -> tuple[str, ...]:
    """Return a phrasing of each finding and tissue that a crop shows, "" for the others."""
    vocabulary = load_vocabulary()
    shown = [bool(share.any()) for share in findings]
    shown += [bool((tissue == number).any()) for number in range(len(TISSUES))]
    kinds = vocabulary.findings + vocabulary.tissues
    return tuple(
        vocabulary.draw(kind, rng) if is_shown else ""
        for kind, is_shown in zip(kinds, shown, strict=True)
    )


def write_studies(folder: Path, seeds: range) -> None:
    """Simulate studies into a folder; those that are there already are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        if (folder / f"{seed}.json").exists():
            continue
        simulated = simulate_study(seed, spacing_mm=_SPACING_MM, degrade=False)
        masks = simulated.study.organ_masks
        assert masks is not None
        voxels = simulated.study.volume.voxels
        targets = token_targets(voxels, masks.labels, simulated.finding_bits)
        np.save(folder / f"{seed}_hu.npy", voxels)
        np.save(
            folder / f"{seed}_tokens.npy", np.concatenate([targets.findings, targets.tissue[None]])
        )
        lesions = [
            {
                "finding": lesion.finding,
                "centre": list(lesion.centre),
                "diameter_mm": lesion.diameter_mm,
            }
            for lesion in simulated.lesions
        ]
        # last: it says that the two arrays are whole
        write_text(folder / f"{seed}.json", json.dumps({"seed": seed, "lesions": lesions}))
        logger.info("simulated training study %d", seed)


def _soften_size(findings: npt.NDArray[np.uint8], lesion: dict[str, Any], start: list[int]) -> None:
    """Let a lesion of about 30 mm be a nodule and a mass; findings (F, d, h, w), in place."""
    kind, size_mm = lesion["finding"], lesion["diameter_mm"]
    nodule, mass = FINDINGS.index("lung nodule"), FINDINGS.index("lung mass")
    if kind == "lung mass" and size_mm < _PERHAPS_A_NODULE_MM:
        own, other = mass, nodule
    elif kind == "lung nodule" and size_mm > _PERHAPS_A_MASS_MM:
        own, other = nodule, mass
    else:
        return
    centre = [c / 2 - s for c, s in zip(lesion["centre"], start, strict=True)]
    reach = size_mm / 4 * 0.8 + 1  # tokens of 4 mm: the radius and what bulges beyond it
    low, high = (
        [
            int(np.clip(round(c + sign * reach), 0, n))
            for c, n in zip(centre, findings.shape[1:], strict=True)
        ]
        for sign in (-1, 1)
    )
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    filled = findings[own][box]
    both = kind == "lung mass" and size_mm < _ALSO_A_NODULE_MM
    target = findings[other][box]
    np.maximum(target, filled if both else np.minimum(filled, _OPEN), out=target)


def _cut(array: npt.NDArray[Any], start: list[int], size: int, *, fill: int) -> npt.NDArray[Any]:
    """Return a cube of an array, filled where it reaches beyond."""
    out = np.full((size,) * 3, fill, dtype=array.dtype)
    source, target = [], []
    for s, n in zip(start, array.shape, strict=True):
        low, high = max(s, 0), min(s + size, n)
        source.append(slice(low, max(low, high)))
        target.append(slice(low - s, max(low, high) - s))
    out[tuple(target)] = array[tuple(source)]
    return out


FloatArray = npt.NDArray[np.float32]


def degrade_crop(hounsfield: npt.NDArray[np.int16], rng: np.random.Generator) -> FloatArray:
    """Return a crop (D, H, W) in HU at 2 mm as some scanner, kernel and protocol would show it.

    Ours: noise 3-90 HU before slices are averaged, slices of 2-10 mm laid back on the grid by
    linear interpolation, kernels from soft to sharp, offsets up to 25 HU, gain up to 3 %.
    """
    hu = hounsfield.astype(np.float32)
    _, H, W = hu.shape
    kernel = rng.uniform(-1.0, 1.0)
    hu = _in_plane(hu, _kernel(H, kernel), _kernel(W, kernel))
    hu += _noise(hu, rng)
    if rng.random() < 0.6:
        hu = _along_z(_thick_slices(hu.shape[0], rng), hu)
    hu += 1000.0
    hu *= np.float32(rng.uniform(0.97, 1.03))
    hu += np.float32(rng.uniform(-25.0, 25.0) - 1000.0)
    return hu


def _noise(hu: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return correlated noise; denser surroundings are noisier, as in a slice through shoulders."""
    level = float(np.clip(np.exp(rng.normal(np.log(16.0), 0.8)), 3.0, 90.0))
    grain = rng.standard_normal(hu.shape, dtype=np.float32)
    sigma = rng.uniform(0.0, 1.0)
    if sigma > 0.25:
        _, H, W = hu.shape
        grain = _in_plane(grain, _gaussian(H, sigma), _gaussian(W, sigma))
    if rng.random() < 0.5:  # slices reconstructed closer than they are thick
        grain = _along_z(_gaussian(hu.shape[0], rng.uniform(0.3, 0.8)), grain)
    grain *= np.float32(level / max(float(grain.std()), 1e-6))
    return grain


def _kernel(size: int, sharpness: float) -> FloatArray:
    """Return (size, size): smoothing for negative, edge enhancement for positive sharpness."""
    identity = np.eye(size, dtype=np.float32)
    if sharpness < 0:
        return _gaussian(size, 0.85 * -sharpness) if sharpness < -0.25 else identity
    return identity + np.float32(0.8 * sharpness) * (identity - _gaussian(size, 0.7))


def _gaussian(size: int, sigma: float) -> FloatArray:
    """Return a blur (size, size) whose rows sum to one."""
    steps = np.arange(size, dtype=np.float32)
    matrix = np.exp(-0.5 * ((steps[:, None] - steps[None, :]) / max(sigma, 0.05)) ** 2)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float32)


def _thick_slices(size: int, rng: np.random.Generator) -> FloatArray:
    """Return (size, size): averaging over a slice, sampling at its centres, linear between them."""
    thickness = float(rng.uniform(1.0, 5.0))  # voxels of 2 mm
    distance = thickness * float(rng.uniform(0.6, 1.0))
    centres = np.arange(rng.uniform(0, distance) - distance, size + distance, distance)
    positions = np.arange(size)
    cover = np.clip(thickness / 2 + 0.5 - np.abs(positions[None, :] - centres[:, None]), 0.0, 1.0)
    cover[cover.sum(axis=1) == 0, np.array([0])] = 1.0  # beyond the crop: the face stands in
    cover /= cover.sum(axis=1, keepdims=True)
    cover[centres < 0] = np.eye(1, size)[0]
    cover[centres > size - 1] = np.eye(1, size, size - 1)[0]
    between = np.clip(1.0 - np.abs(positions[:, None] - centres[None, :]) / distance, 0.0, None)
    between /= between.sum(axis=1, keepdims=True)
    return np.asarray(between @ cover, dtype=np.float32)


def _in_plane(hu: FloatArray, along_y: FloatArray, along_x: FloatArray) -> FloatArray:
    return np.asarray(along_y @ (hu @ along_x.T), dtype=np.float32)


def _along_z(matrix: FloatArray, hu: FloatArray) -> FloatArray:
    return (matrix @ hu.reshape(hu.shape[0], -1)).reshape(hu.shape)
