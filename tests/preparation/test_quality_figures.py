"""The figures of the quality report, of sets that are seldom: a single slice, names with signs."""

from __future__ import annotations

from base64 import b64decode
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.image import imread

from napari_ctclip.core.geometry import Geometry
from napari_ctclip.io.store.study_store import StoredCrop
from napari_ctclip.preparation.quality_figures import contact_sheet


def _sheet(study_id: str, shape: tuple[int, int, int], labels: np.ndarray) -> np.ndarray:
    """Return the picture (H, W, 4) of a set with one study."""
    crop = StoredCrop(
        np.full(shape, -800, np.int16),
        labels.astype(np.uint8),
        Geometry.from_spacing(shape, (5.0, 1.0, 1.0)),
    )
    store = SimpleNamespace(
        specification=SimpleNamespace(kind="ct"), anatomies=("lung_left",), whole=lambda _: crop
    )
    return imread(BytesIO(b64decode(contact_sheet([study_id], store))), format="png")


def _coloured(picture: np.ndarray) -> int:
    return int((np.ptp(picture[..., :3], axis=2) > 0.2).sum())


@pytest.mark.filterwarnings("error::UserWarning")
def test_an_organ_of_a_single_slice_is_outlined_in_its_plane() -> None:
    labels = np.zeros((1, 24, 24))
    assert not _coloured(_sheet("a", labels.shape, labels))
    labels[0, 6:18, 6:18] = 1
    assert _coloured(_sheet("a", labels.shape, labels)) > 50


@pytest.mark.filterwarnings("error::UserWarning")
def test_an_organ_that_fills_the_picture_has_no_outline() -> None:
    labels = np.ones((8, 24, 24))
    assert not _coloured(_sheet("a", labels.shape, labels))


def test_a_dollar_sign_in_a_study_s_name_is_drawn_as_written() -> None:
    labels = np.zeros((8, 24, 24))
    plain, formula = (_sheet(name, labels.shape, labels) for name in ("a_{b}$", "$a_{b}$"))
    top = slice(0, plain.shape[0] // 8)
    drawn = [int((picture[top, :, 0] < 0.5).sum()) for picture in (plain, formula)]
    assert drawn[1] > drawn[0]  # one sign more; as a formula three signs would be gone
    _sheet("$\\5 and $x$", labels.shape, labels)
