from __future__ import annotations

import re
import subprocess
import sys

import pytest

import napari_ctclip as ctclip
from tests.paths import DOCS, ROOT

HEAVY = ("torch", "napari", "monai", "transformers", "numpy", "scipy", "matplotlib", "qtpy")

NOUNS = {
    "WINDOWS", "Calibration", "FeatureMap", "Finding", "FindingOrigin", "FindingState",
    "Geometry", "Montage", "Notice", "OrganMasks", "Patch", "Peak", "Prompt", "Region",
    "RegionEmbeddings", "RegionScore", "Report", "Roi", "RoiKind", "Severity", "SimilarityMap",
    "Study", "TemplateSet", "VisionLanguageModel", "Volume", "Window",
}  # fmt: skip
SCANS = {
    "ScanWarning", "SeriesInfo", "list_series", "organ_masks", "read_organ_masks", "read_volume",
    "simulate_study", "write_heatmap", "write_organ_masks",
}  # fmt: skip
ANSWERS = {
    "Answer", "EncodedVolume", "FeatureCache", "FollowUp", "ReadReport", "RoiReading", "WordMap",
    "decompose_report", "drawn_finding", "encode", "findings_of_labels", "follow_up",
    "heatmap_finding", "load_model", "montage", "patches", "point_finding", "probe",
    "read_report", "read_words", "save_open_clip",
}  # fmt: skip
SESSIONS = {"SavedSession", "SessionState", "read_session", "read_session_scan", "write_session"}
TRAINING = {
    "ArchiveSource", "Evaluation", "EvaluationPlan", "Manifest", "PreparationOptions",
    "StoreSpecification", "StudyStore", "evaluate", "prepare", "read_manifest", "train",
}  # fmt: skip
ERRORS = {
    "Cancelled", "CheckpointMismatch", "CtClipError", "DataError", "GeometryMismatch",
    "NotEncoded", "NotHounsfield", "NothingOpen", "RescaleUndecidable", "RescaledTwice",
    "SeriesChoiceNeeded", "UnknownLabelScheme", "UnreadableFile", "UnwritableFile",
}  # fmt: skip


def test_public_names_are_these_and_no_others() -> None:
    public = NOUNS | SCANS | ANSWERS | SESSIONS | TRAINING | ERRORS | {"__version__"}
    assert sorted(ctclip.__all__) == sorted(public)
    assert dir(ctclip) == sorted(public)


@pytest.mark.parametrize("name", ctclip.__all__)
def test_public_name_is_there_and_explained(name: str) -> None:
    found = getattr(ctclip, name)
    if callable(found):
        assert found.__doc__


def test_every_public_name_is_on_the_reference_page() -> None:
    page = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    shown = re.findall(r"^::: napari_ctclip\.(\w+)$", page, re.MULTILINE)
    assert sorted([*shown, "__version__"]) == sorted(ctclip.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'read_volumes'"):
        _ = ctclip.read_volumes


def test_documentation_uses_the_public_names_alone() -> None:
    snippets = [
        (page.name, line)
        for page in [*DOCS.rglob("*.md"), ROOT / "README.md"]
        for block in re.findall(r"^```(?:python)?\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
        for line in block.splitlines()
    ]
    used = {name for _, line in snippets for name in re.findall(r"(?<![\w.])ctclip\.(\w+)", line)}
    assert len(used) > 25
    assert used <= set(ctclip.__all__)
    inside = [(page, line) for page, line in snippets if re.match(r"\s*from napari_ctclip\.", line)]
    assert inside == []


def test_every_error_is_public() -> None:
    from napari_ctclip.core import errors

    assert set(errors.__all__) == ERRORS


def test_import_of_the_package_loads_no_other_library() -> None:
    code = (
        "import sys, napari_ctclip; "
        f"print([name for name in {HEAVY!r} if name in sys.modules], "
        "[name for name in sys.modules if name.startswith('napari_ctclip.')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[] []"


def test_reading_a_scan_loads_no_model_library() -> None:
    code = (
        "import sys, napari_ctclip; "
        "napari_ctclip.read_volume, napari_ctclip.Study, napari_ctclip.OrganMasks; "
        "print([name for name in ('torch', 'napari', 'monai', 'open_clip') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
