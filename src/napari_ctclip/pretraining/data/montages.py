"""Montages of lung patches drawn at random, built by the viewer's own function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import numpy.typing as npt

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.io.store.study_store import StudyStore
from napari_ctclip.preprocessing.intensity import window_channels
from napari_ctclip.pretraining.data.samples import TrainingSample
from napari_ctclip.pretraining.data.study_choice import ChosenStudy, organ_text
from napari_ctclip.regions.patches import PatchPlan, lay_patches
from napari_ctclip.regions.ranking import Spread, TileOrder, best_patches, build_montage
from napari_ctclip.simulation import simulate_study

__all__ = [
    "MontageOptions",
    "SimulatedMontages",
    "StoredMontages",
    "montage_options",
    "montage_views",
]


@dataclass(frozen=True)
class MontageOptions:
    """How a montage for training looks.

    Attributes
    ----------
    windows_hu : tuple of (low, high)
        One channel each.
    grid : tuple of int
        Rows and columns of tiles.
    tile_pixels : int
        Side of a tile.
    plan : PatchPlan
        Which patches may be drawn.
    spread : Spread
        How different those of one montage are.
    order : {"score", "z"}
        Of the tiles: random, or from the head down. Ours: from the head down.
    """

    windows_hu: tuple[tuple[float, float], ...]
    grid: tuple[int, int] = (4, 4)
    tile_pixels: int = 56
    plan: PatchPlan = field(default_factory=PatchPlan)
    spread: Spread = field(default_factory=Spread)
    order: TileOrder = "z"


def montage_options(
    picture: tuple[int, int, int],
    windows_hu: tuple[tuple[float, float], ...],
    *,
    tiles: int = 4,
    patch_mm: float = 64.0,
) -> MontageOptions:
    """Return the options of a picture of (1, rows, columns) pixels with ``tiles`` tiles a row.

    Raises
    ------
    DataError
        If the picture cannot be cut into square tiles.
    """
    depth, height, width = picture
    tile = width // tiles
    if depth != 1 or tile < 1 or width % tiles or height % tile:
        raise DataError(
            f"data.crop of a montage is (1, rows, columns) pixels, in square tiles, {tiles} a row; "
            f"got {list(picture)}"
        )
    return MontageOptions(
        windows_hu, (height // tile, tiles), tile_pixels=tile, plan=PatchPlan(size_mm=patch_mm)
    )


def montage_views(
    volume: Volume,
    masks: OrganMasks,
    rng: np.random.Generator,
    options: MontageOptions,
    *,
    count: int = 2,
) -> npt.NDArray[np.float32]:
    """Return several montages of one scan, (count, C, 1, rows * tile, columns * tile), 0..1.

    Each draws its patches anew among those that the organ fills, and spreads them as the viewer
    does; the viewer ranks by prompts instead. Where there are fewer patches than tiles, air is
    left.

    Parameters
    ----------
    volume : Volume
        A scan on the grid that patches are cut from.
    masks : OrganMasks
        With the plan's organ.
    rng : numpy.random.Generator
        The source of all random numbers.
    options : MontageOptions
        How they look.
    count : int
        How many.

    Raises
    ------
    DataError
        If no patch holds the organ.

    References
    ----------
    Van Uden et al. 2023 (arXiv 2306.01111), abstract: montages of lung patches. Ours: how they are
    drawn for training.
    """
    patches = lay_patches(volume.geometry, masks, options.plan)
    tiles = options.grid[0] * options.grid[1]
    views = []
    for _ in range(count):
        scores = rng.random(len(patches), dtype=np.float32)
        drawn = best_patches(patches, scores, count=tiles, spread=options.spread)
        montage = build_montage(
            volume,
            drawn,
            grid=options.grid,
            tile_pixels=options.tile_pixels,
            order=options.order,
        )
        views.append(window_channels(montage.hounsfield[None], options.windows_hu))
    return np.stack(views)


class SimulatedMontages:
    """Montages as the viewer builds them, of patches drawn anew for every sample.

    For trials without data. Studies are made when they are first asked for and kept in memory.

    Parameters
    ----------
    seeds : sequence of int
        One study each.
    spacing_mm : tuple of float
        Voxel spacing (z, y, x) of the chests.
    options : MontageOptions
        How a montage looks.
    """

    anatomies: tuple[str, ...] = ()

    def __init__(
        self,
        seeds: Sequence[int],
        *,
        spacing_mm: tuple[float, float, float],
        options: MontageOptions,
    ) -> None:
        self._seeds, self._spacing_mm, self._options = tuple(seeds), spacing_mm, options
        self._studies: dict[int, Study] = {}
        self._lock = Lock()  # batches are made in threads

    def __len__(self) -> int:
        return len(self._seeds)

    def sample(self, index: int, rng: np.random.Generator) -> TrainingSample:
        """Return a montage of one study, and another one as its second view."""
        study = self._study(self._seeds[index])
        masks, report = study.organ_masks, study.report
        assert masks is not None, "simulated studies have masks"
        assert report is not None, "simulated studies have a report"
        picture, again = montage_views(study.volume, masks, rng, self._options, count=2)
        return TrainingSample(
            study_id=study.study_id,
            image=picture,
            masks=np.zeros((0, *picture.shape[1:]), dtype=bool),
            captions=(),
            report=f"{report.findings} {report.impression}".strip(),
            second_view=again,
        )

    def _study(self, seed: int) -> Study:
        with self._lock:
            if seed not in self._studies:
                self._studies[seed] = simulate_study(seed, spacing_mm=self._spacing_mm).study
            return self._studies[seed]


class StoredMontages:
    """Montages of the lung, drawn anew for every sample, with what is said of the lung.

    Parameters
    ----------
    store : StudyStore
        The store of the studies; axes I, P, L.
    studies : sequence of ChosenStudy
        What to draw from; their boxes are those of the lung.
    options : MontageOptions
        How a montage looks.
    views : int
        Montages a sample: 0 (texts only, a blank picture), 1 or 2.
    whole_report : bool
        Whether the text is the whole report in place of the lung's sentences.

    References
    ----------
    Van Uden et al. 2023 (arXiv 2306.01111), abstract: montages and lung sections of the reports.
    """

    anatomies: tuple[str, ...] = ()

    def __init__(
        self,
        store: StudyStore,
        studies: Sequence[ChosenStudy],
        options: MontageOptions,
        *,
        views: int = 1,
        whole_report: bool = False,
    ) -> None:
        self._store, self._studies, self._options = store, tuple(studies), options
        self._views, self._whole_report = views, whole_report
        self._legend = {name: number for number, name in enumerate(store.anatomies, start=1)}

    def __len__(self) -> int:
        return len(self._studies)

    def sample(self, index: int, rng: np.random.Generator) -> TrainingSample:
        """Return one or two montages of one study.

        Raises
        ------
        DataError
            If the stored study is damaged, or no patch fits its slices.
        """
        study = self._studies[index]
        views = self._montages(study, rng)
        entry = study.entry
        lung = organ_text(self._options.plan.organ, entry.organ_sentences)
        return TrainingSample(
            study_id=entry.study_id,
            image=views[0],
            masks=np.zeros((0, *views.shape[2:]), dtype=bool),
            captions=(),
            report=entry.text if self._whole_report else lung,
            second_view=views[1] if self._views > 1 else None,
        )

    def _montages(self, study: ChosenStudy, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        options = self._options
        if not self._views:
            rows, columns = (n * options.tile_pixels for n in options.grid)
            return np.zeros((1, len(options.windows_hu), 1, rows, columns), dtype=np.float32)
        start, stop = self._around_lung(study)
        part = self._store.crop(study.entry.study_id, start, stop)
        volume = Volume(part.voxels, part.geometry)
        masks = OrganMasks(part.labels, self._legend, part.geometry)
        return montage_views(volume, masks, rng, options, count=self._views)

    def _around_lung(self, study: ChosenStudy) -> tuple[list[int], list[int]]:
        """Return the box of the lung and half a patch around it, inside the scan."""
        start, stop = study.box or ((0, 0, 0), study.shape)
        half_mm = self._options.plan.size_mm / 2
        _, *spacing = self._store.specification.spacing_mm
        grow = [0, *(int(np.ceil(half_mm / s)) for s in spacing)]
        return (
            [max(0, a - n) for a, n in zip(start, grow, strict=True)],
            [min(b + n, size) for b, n, size in zip(stop, grow, study.shape, strict=True)],
        )
