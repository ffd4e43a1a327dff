"""Run provenance: what the numbers of an evaluation depend on."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_ctclip.evaluation.score_studies import StudyScorer

__all__ = ["run_provenance"]

_PACKAGES = ("napari-ctclip", "torch", "numpy", "scipy", "scikit-learn")


def run_provenance(scorer: StudyScorer) -> dict[str, Any]:
    """Return model, weights, preprocessing, task and versions; no paths, which may hold names."""
    model, tasks = scorer.model, scorer.tasks
    return {
        "model": {"name": model.name, "weights_sha256": model.weights_hash()},
        "preprocessing": model.preprocessing.to_dict(),
        "calibration": None if model.calibration is None else asdict(model.calibration),
        "background_prompts": list(model.background_prompts),
        "task": {
            "name": tasks.name,
            "source": tasks.source,
            "ensemble": tasks.ensemble,
            "exclusive": tasks.exclusive,
            "prompts": [
                {
                    "label": task.label,
                    "anatomies": list(task.anatomies),
                    "positives": list(task.positives),
                    "negatives": list(task.negatives),
                }
                for task in tasks.tasks
            ],
        },
        "montage": scorer.montage and scorer.montage.to_dict(),
        "masks_without_file": scorer.masks,
        "device": scorer.device,
        "versions": {name: version(name) for name in _PACKAGES}
        | {"python": platform.python_version()},
    }
