"""An evaluation of the made-up studies by the tiny model, as tests run it."""

from __future__ import annotations

from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.evaluation.evaluate_studies import evaluate_studies
from napari_ctclip.evaluation.evaluation_result import Plan
from napari_ctclip.evaluation.label_metrics import Resampling
from napari_ctclip.evaluation.score_studies import StudyScorer
from napari_ctclip.evaluation.study_source import file_studies
from napari_ctclip.io.store.manifest import read_manifest
from napari_ctclip.testing import TinyModel
from tests.evaluation.evaluation_studies import TASKS

BALLS = (True, False, True, False, True, False, True, False)
SPLITS = ("valid",) * 2 + ("test",) * 6
QUICKLY = Plan(resampling=Resampling(100))


def scorer_in(folder, **options):
    # nothing is kept, so that every encoding is counted
    cache = FeatureCache(folder / "cache", limit_bytes=0)
    return StudyScorer(TinyModel(), TASKS, cache=cache, **options)


def evaluated(studies, scorer=None, plan=QUICKLY, **options):
    scorer = scorer or scorer_in(studies.folder)
    cohort = file_studies(read_manifest(studies.manifest).entries)
    return evaluate_studies(cohort, scorer, plan, out=studies.folder / "out", **options)


def metrics_of(evaluation, label):
    return next(m for m in evaluation.labels if m.label == label)
