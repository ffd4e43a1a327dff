"""MethodRecipe: everything a training of one of the methods does, read from TOML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from napari_ctclip.io.store.manifest_entry import Split
from napari_ctclip.pretraining.starter.recipe import Table, read_recipe

__all__ = [
    "DataTable",
    "LoopTable",
    "MethodRecipe",
    "ModelTable",
    "OptimizerTable",
    "load_method_recipe",
]

Triple = tuple[int, int, int]


class ModelTable(Table):
    """Architecture, and where its parts start from.

    Attributes
    ----------
    kind : {"towers", "organ_query", "local_regions", "open_clip"}
        See ``models.architecture``; ``open_clip`` is any model of that package.
    name : str
        What the user calls the model; of ``open_clip``: which architecture it is.
    image, head : table
        Arguments of the image encoder (with ``kind``: ``"cnn"``, ``"vit"`` or ``"locked"``) and of
        the model. Of ``open_clip``: its ``vision_cfg``, and what else its ``model_cfg`` holds.
    text_folder : str
        ``"starter"``, a model folder of this package, or the folder of a BERT.
    text_start : {"pretrained", "random"}
        Whether the text encoder begins with the weights that lie there.
    text_locked : bool
        Whether the text encoder stays as it is; its projection is trained in any case.
    image_start : str
        Of ``image.kind`` ``"locked"``: name or folder of the dual encoder whose image encoder the
        locked tower is.
    start : str
        Model folder to take every weight from instead; of ``open_clip`` whatever ``load_model``
        takes, e.g. ``"open_clip:ViT-B-16/openai"``.
    embedding_width : int
        E.
    suggested_prompts, background_prompts : list of str
        What the viewer suggests, and holds every prompt against.
    """

    kind: Literal["towers", "organ_query", "local_regions", "open_clip"]
    name: str
    image: dict[str, Any] = Field(default_factory=dict)
    head: dict[str, Any] = Field(default_factory=dict)
    text_folder: str = "starter"
    text_start: Literal["pretrained", "random"] = "pretrained"
    text_locked: bool = False
    image_start: str = ""
    start: str = ""
    embedding_width: int = Field(default=256, ge=1)
    suggested_prompts: tuple[str, ...] = ()
    background_prompts: tuple[str, ...] = ()


class PreprocessingTable(Table):
    """What the model sees, see ``preprocessing.specification``."""

    orientation: str = "IPL"
    spacing_mm: tuple[float, float, float]
    windows_hu: tuple[tuple[float, float], ...]
    multiple_of: Triple = (1, 1, 1)


class DataTable(Table):
    """Samples.

    Attributes
    ----------
    anatomies : list of str
        Groups of the anatomy vocabulary that have a mask and a caption.
    crop : (z, y, x)
        Voxels of a sample; of a montage (1, rows, columns), its pixels.
    flip : float
        Chance of a flip along each axis.
    margin : (z, y, x)
        Of ``--data``: crops are drawn from the box of a study's anatomies and this many voxels
        around it; from the whole scan where there are no anatomies. fVLM's numbers.
    split : {"train", "valid", "test"}
        Of ``--data``: which studies.
    dictionary : str
        Of ``--data``: abnormalities that serve as negatives and classes: ``"shipped"``, ``"set"``
        (what at least five reports of the set tell of), or a file that ``napari-ctclip-train
        dictionary`` wrote.
    tiles : int
        Of a montage, along a row.
    patch_mm : float
        Side of a montage's patches.
    simulated_studies : int
        How many are simulated where no ``--data`` is given.
    first_seed : int
        Of the first simulated study.
    workers : int
        Threads that make batches ahead.
    """

    anatomies: tuple[str, ...] = ()
    crop: Triple
    flip: float = Field(default=0.0, ge=0, le=1)
    margin: Triple = (5, 20, 20)
    split: Split = "train"
    dictionary: str = "shipped"
    tiles: int = Field(default=4, ge=1)
    patch_mm: float = Field(default=64.0, gt=0)
    simulated_studies: int = Field(default=16, ge=1)
    first_seed: int = Field(default=0, ge=0)
    workers: int = Field(default=2, ge=1)


class OptimizerTable(Table):
    """AdamW with a linear warm-up and a cosine to ``final_share`` of the peak.

    Attributes
    ----------
    steps, warm_up : int
        Of the optimiser.
    batch : int
        Samples that compete, of all processes together.
    accumulation : int
        Batches whose gradients are averaged before a step; unlike a gradient cache they do not
        compete with each other.
    learning_rate, final_share, weight_decay, clip : float
        Peak rate; decay of kernels and tables; largest norm of the gradient.
    betas : (float, float)
        Of AdamW.
    """

    steps: int = Field(ge=1)
    batch: int = Field(ge=2)
    accumulation: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    final_share: float = Field(default=0.0, ge=0, le=1)
    warm_up: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = Field(default=1.0, gt=0)


class LoopTable(Table):
    """How the work is done; nothing here changes what is learned, rounding and chance apart.

    Attributes
    ----------
    seed : int
        Of everything.
    precision : {"fp32", "bf16", "fp16"}
        Of the encoders; the loss is always in float32.
    chunk : int
        Samples of one process whose activations are in memory at once; 0 for all.
    activation_checkpointing, compile : bool
        Recompute transformer blocks in the backward pass; compile the image encoder.
    save_every : int
        Steps between checkpoints.
    snapshot_every : int
        Steps between copies of the model that are kept, to see its answers by step; 0 keeps none.
    explosion : float
        A loss this many times the running mean stops the training. Ours.
    accelerator, devices, nodes, strategy
        As Lightning Fabric takes them; ``auto`` finds out.
    """

    seed: int = 0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    chunk: int = Field(default=0, ge=0)
    activation_checkpointing: bool = False
    compile: bool = False
    save_every: int = Field(default=100, ge=1)
    snapshot_every: int = Field(default=0, ge=0)
    explosion: float = Field(default=20.0, gt=1)
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: int | Literal["auto"] = "auto"
    nodes: int = Field(default=1, ge=1)
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"


class MethodRecipe(Table):
    """A whole training."""

    method: str
    model: ModelTable
    preprocessing: PreprocessingTable
    data: DataTable
    objective: dict[str, Any] = Field(default_factory=dict)
    optimizer: OptimizerTable
    loop: LoopTable = Field(default_factory=lambda: LoopTable())


def load_method_recipe(file: Path, *, overrides: Sequence[str] = ()) -> MethodRecipe:
    """Return the recipe of a TOML file; see ``recipe.read_recipe``."""
    return read_recipe(file, MethodRecipe, overrides=overrides)
