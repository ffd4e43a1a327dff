"""A session file that version 0.1 wrote still opens, whole."""

from __future__ import annotations

import numpy as np

from napari_ctclip.core.finding import FindingOrigin, FindingState
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import TemplateSet
from napari_ctclip.core.volume import Window
from napari_ctclip.session.files.archive import read_session
from napari_ctclip.session.files.saved_session import SavedCamera, SavedReport, read_scan
from tests.paths import DATA

FILE = DATA / "session_0_1.ctclip.zip"
PROMPT = Prompt(
    "lung nodule",
    "normal lung",
    "lung_left",
    TemplateSet("two ways", ("{}", "there is {}"), ("no {}",)),
)


def test_the_scan_its_masks_and_the_model_are_found_again():
    saved = read_session(FILE)
    volume = read_scan(saved.scan).volume
    assert volume.geometry.shape == (12, 16, 20)
    assert volume.geometry.spacing_mm == (3.0, 2.0, 2.0)
    assert volume.voxels[5, 6, 8] == 60
    assert saved.masks is not None
    assert saved.masks.legend == {"lung_right": 1, "lung_left": 2}
    assert saved.masks.source == "quick"
    assert saved.model is not None
    assert (saved.model.source, saved.model.weights_sha256) == ("starter", "ab" * 32)


def test_prompts_view_notes_and_report_are_as_they_were():
    saved = read_session(FILE)
    assert [(one.prompt, one.shown) for one in saved.prompts] == [
        (PROMPT, True),
        (Prompt("effusion"), False),
    ]
    view = saved.view
    assert view is not None
    assert (view.window, view.position, view.heat_range) == (
        Window(-600.0, 1500.0),
        (5, 6, 8),
        (0.1, 0.4),
    )
    assert (view.heat_opacity, view.layout) == (0.6, "Three planes")
    assert view.cameras == (SavedCamera((0.0, 1.0, 2.0), 1.5, (0.0, 0.0, 90.0)),)
    assert saved.notes == "two lines\nof notes"
    assert saved.report == SavedReport("FINDINGS: There is a lung nodule.", was_read=True)


def test_findings_keep_their_regions_and_what_made_them():
    nodule, point = read_session(FILE).findings
    assert (nodule.name, nodule.prompt, nodule.state) == ("Nodule", PROMPT, FindingState.EDITED)
    assert nodule.origin == FindingOrigin("tiny", "ab" * 32, "cd" * 32, "two ways")
    assert (nodule.similarity, nodule.probability, nodule.threshold) == (0.31, 0.8, 0.15)
    assert nodule.region is not None
    assert nodule.region.start == (4, 5, 6)
    assert np.array_equal(nodule.region.mask, np.ones((4, 4, 6), dtype=bool))
    assert (point.name, point.region, point.prompt) == ("Finding", None, None)
