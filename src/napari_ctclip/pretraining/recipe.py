"""Recipe: everything that a training does, as its TOML file says it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_ctclip.io.store.manifest_entry import Split

__all__ = [
    "DataTable",
    "DistillationTable",
    "LoopTable",
    "ModelTable",
    "OptimizerTable",
    "PatchPoolTable",
    "PreprocessingTable",
    "Recipe",
    "Table",
    "WideCropTable",
]

Triple = tuple[int, int, int]


class Table(BaseModel):
    """A table of a recipe: no other keys, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelTable(Table):
    """The architecture, and where its parts start from.

    Attributes
    ----------
    kind : {"towers", "organ_query", "local_regions", "open_clip"}
        See ``models.folder.architecture``; ``open_clip`` is any model of that package.
    name : str
        What the user calls the model; of ``open_clip``: which architecture it is.
    image, head : table
        The arguments of the image encoder (with ``kind``: ``"cnn"``, ``"vit"`` or ``"locked"``) and
        of the model. Of ``open_clip``: its ``vision_cfg``, and what else its ``model_cfg`` holds.
    text_folder : str
        ``"starter"``, a model folder of this package, or the folder of a BERT.
    text_start : {"pretrained", "random"}
        Whether the text encoder begins with the weights that lie there.
    text_locked : bool
        Whether the text encoder stays as it is; its projection is trained in any case.
    image_start : str
        Of ``image.kind`` ``"locked"``: the name or folder of the dual encoder whose image encoder
        the locked tower is.
    start : str
        A model folder to take every weight from instead; of ``open_clip`` whatever ``load_model``
        takes, e.g. ``"open_clip:ViT-B-16/openai"``.
    embedding_width : int
        E.
    suggested_prompts, background_prompts : list of str
        What the viewer suggests, and contrasts every prompt with.
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


class WideCropTable(Table):
    """The wide crops of the starter, few at a step.

    Attributes
    ----------
    crop, batch : int
        The voxels along each axis, and how many a step sees.
    every : int
        Every so many steps sees wide crops; 0 for none.
    """

    crop: int = Field(default=80, ge=1)
    batch: int = Field(default=2, ge=1)
    every: int = Field(default=3, ge=0)


class PatchPoolTable(Table):
    """The simulated squares that the patches of starter_2d are cut from.

    Attributes
    ----------
    slices : int
        How many squares of lung alone.
    chests, per_chest : int
        How many simulated chests, and how many squares of each.
    """

    slices: int = Field(ge=0)
    chests: int = Field(default=0, ge=0)
    per_chest: int = Field(default=0, ge=0)


class DataTable(Table):
    """The samples.

    Attributes
    ----------
    anatomies : list of str
        The groups of the anatomy vocabulary that have a mask and a caption.
    crop : (z, y, x)
        The voxels of a sample; of a montage (1, rows, columns), its pixels.
    flip : float
        The probability of a flip along each axis.
    margin : (z, y, x)
        Of ``--data``: crops are drawn from the box of a study's anatomies and this many voxels
        around it; from the whole scan where there are no anatomies. fVLM's numbers.
    split : {"train", "valid", "test"}
        Of ``--data``: which studies.
    dictionary : str
        Of ``--data``: the abnormalities that serve as negatives and classes: ``"shipped"``,
        ``"set"`` (what at least five reports of the set mention), or a file that
        ``napari-ctclip-train dictionary`` wrote.
    tiles : int
        Of a montage, along a row.
    patch_mm : float
        The side of a montage's patches.
    simulated_studies : int
        How many are simulated where no ``--data`` is given.
    first_seed : int
        The seed of the first simulated study.
    lesion_share : float
        Of the starter: the share of crops that are centred near a lesion.
    wide : table, optional
        Of the starter: crops that show more of what surrounds a lesion.
    pool : table, optional
        Of starter_2d: what its patches are cut from.
    workers : int
        The threads that make batches ahead.
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
    lesion_share: float = Field(default=0.7, ge=0, le=1)
    wide: WideCropTable | None = None
    pool: PatchPoolTable | None = None
    workers: int = Field(default=2, ge=1)


class OptimizerTable(Table):
    """AdamW with a linear warm-up and a cosine to ``final_share`` of the peak.

    Attributes
    ----------
    steps, warm_up : int
        The numbers of steps of the optimiser.
    cosine_steps : int
        The step at which the cosine ends; the last one where it is 0.
    batch : int
        The samples that compete, of all ranks together.
    accumulation : int
        The batches whose gradients are averaged before a step; unlike a gradient cache they do not
        compete with each other.
    learning_rate, final_share, weight_decay, clip : float
        The peak rate and the share of it at the end; the decay of kernels and tables; the largest
        norm of the gradient.
    betas : (float, float)
        The betas of AdamW.
    ema : float
        The decay of the exponential moving average of the weights, which is then the model that is
        written; 0 writes the weights themselves.
    """

    steps: int = Field(ge=1)
    batch: int = Field(ge=2)
    accumulation: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    final_share: float = Field(default=0.0, ge=0, le=1)
    warm_up: int = Field(default=0, ge=0)
    cosine_steps: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = Field(default=1.0, gt=0)
    ema: float = Field(default=0.0, ge=0, lt=1)


class LoopTable(Table):
    """How the work is done; nothing here changes what is learned, rounding and the seed apart.

    Attributes
    ----------
    seed : int
        The seed of everything.
    precision : {"fp32", "bf16", "fp16"}
        The precision of the encoders; the loss is always in float32.
    chunk : int
        The samples of one rank whose activations are in memory at once; 0 for all.
    activation_checkpointing, compile : bool
        Recompute transformer blocks in the backward pass; compile the image encoder.
    save_every : int
        The steps between checkpoints.
    snapshot_every : int
        The steps between copies of the model that are kept, to see its answers by step; 0 keeps
        none.
    explosion : float
        A loss of this many times the running mean stops the training. Ours.
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


class DistillationTable(Table):
    """The distillation of the starter's text encoder.

    Attributes
    ----------
    corpus, steps : int
        How many phrases it imitates the teacher on, and for how many steps.
    encoder : table
        The arguments of the ``WordPieceTransformer``.
    """

    corpus: int = Field(default=40_000, ge=1)
    steps: int = Field(default=1500, ge=1)
    encoder: dict[str, Any] = Field(default_factory=dict)


class Recipe(Table):
    """A whole training; ``[objective]`` has keys of its own for each method."""

    method: str
    model: ModelTable
    preprocessing: PreprocessingTable
    data: DataTable
    objective: dict[str, Any] = Field(default_factory=dict)
    optimizer: OptimizerTable
    loop: LoopTable = Field(default_factory=lambda: LoopTable())
    distillation: DistillationTable | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return every key with its default, as TOML can hold it."""
        return self.model_dump(mode="json", exclude_none=True)
