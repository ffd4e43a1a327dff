"""Answer files: what a session found, as files that other programs read."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from napari_ctclip.core.prompt import slug
from napari_ctclip.io.exports import write_heatmap
from napari_ctclip.io.figures import write_prompt_figure
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.session import Session

__all__ = ["SCORE_COLUMNS", "replacing", "write_answers"]

SCORE_COLUMNS = (
    "prompt",
    "negative",
    "anatomy",
    "similarity",
    "probability",
    "peak_x_mm",
    "peak_y_mm",
    "peak_z_mm",
    "peak_similarity",
)
"""Columns of ``scores.csv``; peaks lie in the file's RAS world."""


def write_answers(session: Session, folder: Path) -> list[Path]:
    """Write scores, heatmaps, figures and provenance of every answer; return the files.

    Parameters
    ----------
    session : Session
        With a study, a model and at least one answer.
    folder : Path
        Made if it does not exist. Files of the same name are replaced, each whole or not at all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    study, model = session.study, session.model
    assert study is not None, "an answer implies a study"
    assert model is not None, "an answer implies a model"
    means = model.calibration.source if model.calibration else "softmax against the negatives"
    files = [_write_scores(session.answers, folder / "scores.csv")]
    for answer, name in zip(session.answers, _slugs(session.answers), strict=True):
        heatmap, figure = folder / f"heatmap_{name}.nii.gz", folder / f"figure_{name}.png"
        write_heatmap(answer.similarity_map, study.volume, heatmap)
        write_prompt_figure(
            study.volume,
            answer.similarity_map,
            figure,
            peak=answer.focus.peak,
            organ_probabilities={s.anatomy: s.probability for s in answer.organs},
            probability_means=means,
        )
        files += [heatmap, figure]
    with replacing(folder / "provenance.json") as partial:
        partial.write_text(json.dumps(_provenance(session), indent=2) + "\n", encoding="utf-8")
    return [*files, folder / "provenance.json"]


def _write_scores(answers: Sequence[Answer], path: Path) -> Path:
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(SCORE_COLUMNS)
        for answer in answers:
            for score in (answer.whole, *answer.organs):
                writer.writerow(
                    (
                        answer.prompt.positive,
                        answer.prompt.negative,
                        score.anatomy,
                        f"{score.similarity:.6f}",
                        f"{score.probability:.6f}",
                        *(f"{mm:.2f}" for mm in score.peak.world_mm),
                        f"{score.peak.value:.6f}",
                    )
                )
    return path


def _provenance(session: Session) -> dict[str, object]:
    prompts = [
        {"positive": a.prompt.positive, "negative": a.prompt.negative, "anatomy": a.prompt.anatomy}
        for a in session.answers
    ]
    return session.provenance() | {"prompts": prompts}


def _slugs(answers: Sequence[Answer]) -> list[str]:
    """Return one file-name part an answer; two prompts that read alike get a number."""
    names: list[str] = []
    for answer in answers:
        name, number = slug(answer.prompt.positive), 2
        while name in names:
            name = f"{slug(answer.prompt.positive)}-{number}"
            number += 1
        names.append(name)
    return names


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a partial file to write and put it in place of ``path`` once it is whole."""
    partial = path.with_name(f".{path.name}.part")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
