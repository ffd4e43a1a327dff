"""Type a finding, see where it is: CT vision-language models in napari.

The names in ``__all__`` are the public interface; every module below is internal and may change.
They are imported when they are first used: ``import napari_ctclip`` loads no other library.

::

    import napari_ctclip as ctclip

    scan = ctclip.read_volume("ct.nii.gz")
    encoded = ctclip.encode(scan, model="starter")
    answer = encoded.ask("lung nodule", masks=ctclip.organ_masks(scan))
    answer.heatmap, answer.score, answer.organs, answer.peak_mm
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_ctclip.api.encoded import Answer, EncodedVolume, encode, load_model
    from napari_ctclip.api.reading import (
        drawn_finding,
        follow_up,
        heatmap_finding,
        montage,
        patches,
        point_finding,
        probe,
        read_report,
        read_words,
    )
    from napari_ctclip.api.scans import ScanWarning, organ_masks, read_organ_masks, read_volume
    from napari_ctclip.api.training import evaluate, prepare, train
    from napari_ctclip.core.errors import (
        Cancelled,
        CheckpointMismatch,
        CtClipError,
        DataError,
        GeometryMismatch,
        NotEncoded,
        NothingOpen,
        NotHounsfield,
        RescaledTwice,
        RescaleUndecidable,
        SeriesChoiceNeeded,
        UnknownLabelScheme,
        UnreadableFile,
        UnwritableFile,
    )
    from napari_ctclip.core.finding import Finding, FindingOrigin, FindingState
    from napari_ctclip.core.geometry import Geometry
    from napari_ctclip.core.montage import Montage, Patch
    from napari_ctclip.core.notice import Notice, Severity
    from napari_ctclip.core.organ_masks import OrganMasks
    from napari_ctclip.core.prompt import Prompt
    from napari_ctclip.core.region import Region
    from napari_ctclip.core.report import Report
    from napari_ctclip.core.roi import Roi, RoiKind
    from napari_ctclip.core.similarity_map import Peak, SimilarityMap
    from napari_ctclip.core.study import Study
    from napari_ctclip.core.template_set import TemplateSet
    from napari_ctclip.core.volume import WINDOWS, Volume, Window
    from napari_ctclip.encoding.feature_cache import FeatureCache
    from napari_ctclip.evaluation.evaluation_result import Evaluation
    from napari_ctclip.evaluation.evaluation_result import Plan as EvaluationPlan
    from napari_ctclip.explanation.roi_reading import RoiReading
    from napari_ctclip.io.ct.dicom_series import SeriesInfo, list_series
    from napari_ctclip.io.export.exports import write_heatmap, write_organ_masks
    from napari_ctclip.io.store.manifest import Manifest, read_manifest
    from napari_ctclip.io.store.study_record import StoreSpecification
    from napari_ctclip.io.store.study_store import StudyStore
    from napari_ctclip.models.interface import (
        Calibration,
        FeatureMap,
        RegionEmbeddings,
        VisionLanguageModel,
    )
    from napari_ctclip.models.published.open_clip_adapter import save_open_clip
    from napari_ctclip.preparation.preparation import Options as PreparationOptions
    from napari_ctclip.preparation.sources.archive import Source as ArchiveSource
    from napari_ctclip.reports import decompose as decompose_report
    from napari_ctclip.reports import findings_of_labels
    from napari_ctclip.scoring.region_scores import RegionScore
    from napari_ctclip.session.files.archive import SessionState, read_session, write_session
    from napari_ctclip.session.files.saved_session import SavedSession
    from napari_ctclip.session.files.saved_session import read_scan as read_session_scan
    from napari_ctclip.session.follow_up import FollowUp
    from napari_ctclip.session.report_reading import ReadReport
    from napari_ctclip.session.word_reading import WordMap
    from napari_ctclip.simulation.study_simulation import simulate_study

__all__ = [
    "WINDOWS",
    "Answer",
    "ArchiveSource",
    "Calibration",
    "Cancelled",
    "CheckpointMismatch",
    "CtClipError",
    "DataError",
    "EncodedVolume",
    "Evaluation",
    "EvaluationPlan",
    "FeatureCache",
    "FeatureMap",
    "Finding",
    "FindingOrigin",
    "FindingState",
    "FollowUp",
    "Geometry",
    "GeometryMismatch",
    "Manifest",
    "Montage",
    "NotEncoded",
    "NotHounsfield",
    "NothingOpen",
    "Notice",
    "OrganMasks",
    "Patch",
    "Peak",
    "PreparationOptions",
    "Prompt",
    "ReadReport",
    "Region",
    "RegionEmbeddings",
    "RegionScore",
    "Report",
    "RescaleUndecidable",
    "RescaledTwice",
    "Roi",
    "RoiKind",
    "RoiReading",
    "SavedSession",
    "ScanWarning",
    "SeriesChoiceNeeded",
    "SeriesInfo",
    "SessionState",
    "Severity",
    "SimilarityMap",
    "StoreSpecification",
    "Study",
    "StudyStore",
    "TemplateSet",
    "UnknownLabelScheme",
    "UnreadableFile",
    "UnwritableFile",
    "VisionLanguageModel",
    "Volume",
    "Window",
    "WordMap",
    "__version__",
    "decompose_report",
    "drawn_finding",
    "encode",
    "evaluate",
    "findings_of_labels",
    "follow_up",
    "heatmap_finding",
    "list_series",
    "load_model",
    "montage",
    "organ_masks",
    "patches",
    "point_finding",
    "prepare",
    "probe",
    "read_manifest",
    "read_organ_masks",
    "read_report",
    "read_session",
    "read_session_scan",
    "read_volume",
    "read_words",
    "save_open_clip",
    "simulate_study",
    "train",
    "write_heatmap",
    "write_organ_masks",
    "write_session",
]

__version__ = "0.1.0"

_HOMES: dict[str, tuple[str, ...]] = {
    "napari_ctclip.api.encoded": ("Answer", "EncodedVolume", "encode", "load_model"),
    "napari_ctclip.api.reading": (
        "drawn_finding",
        "follow_up",
        "heatmap_finding",
        "montage",
        "patches",
        "point_finding",
        "probe",
        "read_report",
        "read_words",
    ),
    "napari_ctclip.api.scans": ("ScanWarning", "organ_masks", "read_organ_masks", "read_volume"),
    "napari_ctclip.api.training": ("evaluate", "prepare", "train"),
    "napari_ctclip.core.errors": (
        "Cancelled",
        "CheckpointMismatch",
        "CtClipError",
        "DataError",
        "GeometryMismatch",
        "NotEncoded",
        "NotHounsfield",
        "NothingOpen",
        "RescaleUndecidable",
        "RescaledTwice",
        "SeriesChoiceNeeded",
        "UnknownLabelScheme",
        "UnreadableFile",
        "UnwritableFile",
        "UnwritableFile",
    ),
    "napari_ctclip.core.finding": ("Finding", "FindingOrigin", "FindingState"),
    "napari_ctclip.core.geometry": ("Geometry",),
    "napari_ctclip.core.montage": ("Montage", "Patch"),
    "napari_ctclip.core.notice": ("Notice", "Severity"),
    "napari_ctclip.core.organ_masks": ("OrganMasks",),
    "napari_ctclip.core.prompt": ("Prompt",),
    "napari_ctclip.core.region": ("Region",),
    "napari_ctclip.core.report": ("Report",),
    "napari_ctclip.core.roi": ("Roi", "RoiKind"),
    "napari_ctclip.core.similarity_map": ("Peak", "SimilarityMap"),
    "napari_ctclip.core.study": ("Study",),
    "napari_ctclip.core.template_set": ("TemplateSet",),
    "napari_ctclip.core.volume": ("WINDOWS", "Volume", "Window"),
    "napari_ctclip.encoding.feature_cache": ("FeatureCache",),
    "napari_ctclip.evaluation.evaluation_result": ("Evaluation", "EvaluationPlan"),
    "napari_ctclip.explanation.roi_reading": ("RoiReading",),
    "napari_ctclip.io.ct.dicom_series": ("SeriesInfo", "list_series"),
    "napari_ctclip.io.export.exports": ("write_heatmap", "write_organ_masks"),
    "napari_ctclip.io.store.manifest": ("Manifest", "read_manifest"),
    "napari_ctclip.io.store.study_record": ("StoreSpecification",),
    "napari_ctclip.io.store.study_store": ("StudyStore",),
    "napari_ctclip.models.interface": (
        "Calibration",
        "FeatureMap",
        "RegionEmbeddings",
        "VisionLanguageModel",
    ),
    "napari_ctclip.models.published.open_clip_adapter": ("save_open_clip",),
    "napari_ctclip.preparation.preparation": ("PreparationOptions",),
    "napari_ctclip.preparation.sources.archive": ("ArchiveSource",),
    "napari_ctclip.reports": ("decompose_report", "findings_of_labels"),
    "napari_ctclip.scoring.region_scores": ("RegionScore",),
    "napari_ctclip.session.files.archive": ("SessionState", "read_session", "write_session"),
    "napari_ctclip.session.files.saved_session": ("SavedSession", "read_session_scan"),
    "napari_ctclip.session.follow_up": ("FollowUp",),
    "napari_ctclip.session.report_reading": ("ReadReport",),
    "napari_ctclip.session.word_reading": ("WordMap",),
    "napari_ctclip.simulation.study_simulation": ("simulate_study",),
}
_NAMES_AT_HOME = {
    "ArchiveSource": "Source",
    "EvaluationPlan": "Plan",
    "PreparationOptions": "Options",
    "decompose_report": "decompose",
    "read_session_scan": "read_scan",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), _NAMES_AT_HOME.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
