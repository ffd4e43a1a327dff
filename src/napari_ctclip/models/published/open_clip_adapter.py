"""open_clip: its models as ``VisionLanguageModel``, from this machine only, and back again."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import open_clip
import torch
from open_clip.factory import load_state_dict
from open_clip.tokenizer import HFTokenizer
from open_clip.transform import PreprocessCfg, merge_preprocess_dict
from safetensors import SafetensorError
from torch import Tensor, nn

from napari_ctclip.core.errors import CheckpointMismatch, CtClipError, DataError
from napari_ctclip.io.files import write_text
from napari_ctclip.models.folder.files import require_same_tensors, write_weights
from napari_ctclip.models.hub.hub_cache import cached_file
from napari_ctclip.models.published.open_clip_source import (
    CONFIG_FILE,
    WEIGHT_FILES,
    OpenClipSource,
    split_plane,
)
from napari_ctclip.models.published.slice_model import PLANES, Plane, SliceModel
from napari_ctclip.preprocessing.specification import Preprocessing

__all__ = ["load_open_clip", "save_open_clip", "untrained_open_clip"]

_OURS = "napari_ctclip"
"""Section of ``open_clip_config.json`` that open_clip does not read."""

_WEIGHTS = WEIGHT_FILES[0]

_UNREADABLE = (
    *(RuntimeError, OSError, ValueError, KeyError, TypeError, AttributeError, EOFError),
    *(StopIteration, pickle.UnpicklingError, SafetensorError),
)
"""What a damaged or foreign file makes of three readers."""


def load_open_clip(name: str) -> SliceModel:
    """Return an open_clip model that lies on this machine, ready for inference.

    Parameters
    ----------
    name : str
        ``open_clip:ARCHITECTURE/TAG``, ``hf-hub:OWNER/NAME``, ``local-dir:FOLDER`` or a folder; all
        with ``@coronal`` or ``@sagittal`` at the end for slices in another plane.

    Raises
    ------
    CtClipError
        If weights are not on this machine, with the command that gets them; nothing is downloaded.
    CheckpointMismatch
        If the folder is incomplete or its weights do not fit its configuration.
    """
    bare, plane = split_plane(name)
    source = _find(bare)
    config = _complete(source.config)
    clip = _build(config["model_cfg"], source)
    _load_strictly(clip, source.weights)
    ours = config.get(_OURS, {})
    model = SliceModel(
        clip,
        _tokenizer(config["model_cfg"]["text_cfg"], source),
        config=config,
        name=str(ours.get("name", source.name)),
        preprocessing=_preprocessing(ours, source),
    )
    if plane:
        codes = PLANES[cast("Plane", plane)]
        model.preprocessing = replace(model.preprocessing, orientation=codes)
    return model.eval().requires_grad_(False)


def untrained_open_clip(
    architecture: str | Mapping[str, Any], *, folder: Path | None = None, seed: int = 0
) -> SliceModel:
    """Return a model with random weights, to train or to try the machinery; its name says so.

    Parameters
    ----------
    architecture : str or mapping
        Name of an open_clip architecture, or its ``model_cfg``.
    folder : Path, optional
        Configuration and vocabulary of a text tower from Hugging Face.
    seed : int
        Of the weights.

    Raises
    ------
    CtClipError
        If open_clip has no such architecture.
    """
    is_name = isinstance(architecture, str)
    called = str(architecture) if is_name else "open_clip"
    model_cfg = _architecture(called) if is_name else architecture
    source = OpenClipSource(f"{called} (random weights)", {"model_cfg": model_cfg}, folder=folder)
    config = _complete(source.config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        clip = _build(config["model_cfg"], source)
    tokenizer = _tokenizer(config["model_cfg"]["text_cfg"], source)
    return SliceModel(clip, tokenizer, config=config, name=source.name).eval()


def save_open_clip(
    model: SliceModel, folder: Path | str, *, state: Mapping[str, Tensor] | None = None
) -> None:
    """Write a folder that open_clip loads as ``local-dir:FOLDER``, and this package too.

    Windows, spacing and plane stand in a section of their own in ``open_clip_config.json``. The
    configuration of a text tower from Hugging Face is written beside it; open_clip itself looks
    that one up under its own name. ``state`` holds weights to write instead of the model's own (an
    average over training, say).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(state or model.clip.state_dict(), folder / _WEIGHTS)
    if hasattr(model.tokenizer, "save_pretrained"):
        model.tokenizer.save_pretrained(folder)
    text_config: Any = getattr(getattr(model.clip, "text", None), "config", None)
    if text_config is not None:
        text_config.save_pretrained(folder)
    ours = {"name": model.name, "preprocessing": model.preprocessing.to_dict()}
    text = json.dumps({**model.config, _OURS: ours}, indent=2)
    write_text(folder / CONFIG_FILE, text + "\n")


def _find(name: str) -> OpenClipSource:
    """Return where a model lies; the name is without a plane."""
    bare = name.removeprefix("open_clip:")
    if bare.startswith("hf-hub:"):
        repository = bare.removeprefix("hf-hub:")
        weights = cached_file(repository, WEIGHT_FILES)
        if weights is None or cached_file(repository, (CONFIG_FILE,)) is None:
            raise _not_here(bare, repository)
        return OpenClipSource.in_folder(weights.parent, name=bare)
    if name.startswith("open_clip:") and not bare.startswith("local-dir:"):
        return _built_in(bare)
    return OpenClipSource.in_folder(Path(bare.removeprefix("local-dir:")).expanduser())


def _built_in(name: str) -> OpenClipSource:
    """Return a model that open_clip knows as ARCHITECTURE/TAG."""
    architecture, _, tag = name.partition("/")
    model_cfg = _architecture(architecture)
    pretrained = open_clip.get_pretrained_cfg(architecture, tag)
    if not pretrained:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(architecture)) or "none"
        raise CtClipError(
            f"open_clip:{name} names no trained weights, and answers of random ones mean nothing; "
            f"add one of its tags, open_clip:{architecture}/TAG: {known}"
        )
    repository, file = pretrained["hf_hub"].rsplit("/", 1)
    weights = cached_file(repository, (file,) if file else WEIGHT_FILES)
    if weights is None:
        raise _not_here(f"open_clip:{name}", repository)
    # a tag trained with another activation is silently a worse model in open_clip, with a warning
    model_cfg["quick_gelu"] = bool(pretrained.get("quick_gelu", False))
    config = {"model_cfg": model_cfg, "preprocess_cfg": pretrained}
    return OpenClipSource(f"open_clip:{name}", config, weights)


def _architecture(name: str) -> dict[str, Any]:
    model_cfg: dict[str, Any] | None = open_clip.get_model_config(name)
    if model_cfg is None:
        raise CtClipError(
            f"open_clip has no architecture {name!r}; in Python open_clip.list_models() lists "
            "those it has"
        )
    return model_cfg


def _not_here(name: str, repository: str) -> CtClipError:
    return CtClipError(
        f"the weights of {name} are not on this machine, and nothing is downloaded unasked; see "
        f"their licence at https://huggingface.co/{repository}, then get them with: "
        f"hf download {repository}"
    )


def _complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with open_clip's own defaults for what it leaves out."""
    preprocess = merge_preprocess_dict(asdict(PreprocessCfg()), config.get("preprocess_cfg", {}))
    kept = {key: preprocess[key] for key in ("mean", "std", "interpolation", "resize_mode")}
    return {**deepcopy(dict(config)), "preprocess_cfg": kept}


def _build(model_cfg: Mapping[str, Any], source: OpenClipSource) -> nn.Module:
    """Return the untrained model of a configuration; unlike open_clip's factory, never online."""
    cfg = deepcopy(dict(model_cfg))
    cfg["vision_cfg"]["timm_model_pretrained"] = False
    if ":" in str(cfg["vision_cfg"].get("timm_model_name", "")):
        raise CheckpointMismatch(
            f"{source.name}: timm_model_name is {cfg['vision_cfg']['timm_model_name']!r}; expected "
            "a plain name: one with a prefix would be looked up online"
        )
    custom_text = cfg.pop("custom_text", False)
    if cfg["text_cfg"].get("hf_model_name"):
        custom_text = True
        text_folder = source.text_folder(cfg["text_cfg"]["hf_model_name"])
        cfg["text_cfg"] |= {"hf_model_name": str(text_folder), "hf_model_pretrained": False}
    kind = open_clip.CLIP
    if custom_text:
        kind = open_clip.CoCa if "multimodal_cfg" in cfg else open_clip.CustomTextCLIP
    try:
        model: nn.Module = kind(**cfg)
    except (TypeError, KeyError, ValueError, RuntimeError, AssertionError) as error:
        raise CheckpointMismatch(
            f"{source.name} describes no model that open_clip {open_clip.__version__} can make: "
            f"{type(error).__name__}: {error}"
        ) from error
    return model


def _tokenizer(
    text_cfg: Mapping[str, Any], source: OpenClipSource
) -> Callable[[list[str]], Tensor]:
    options = dict(text_cfg.get("tokenizer_kwargs") or {})
    options["context_length"] = text_cfg.get("context_length", 77)
    named = text_cfg.get("hf_tokenizer_name")
    if not named:
        plain: Callable[[list[str]], Tensor] = open_clip.SimpleTokenizer(**options)
        return plain
    folder = source.tokenizer_folder(named)
    options |= {"tokenizer_mode": text_cfg.get("tokenizer_mode"), "local_files_only": True}
    options["trust_remote_code"] = False
    try:
        found: Callable[[list[str]], Tensor] = HFTokenizer(str(folder), **options)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointMismatch(
            f"{folder}: no tokenizer can be read there ({error}); copy the tokenizer of {named} "
            "(tokenizer.json or vocab.txt, tokenizer_config.json) into it"
        ) from error
    return found


def _load_strictly(clip: nn.Module, file: Path | None) -> None:
    assert file is not None, "a source that was found has weights"
    try:
        # also brings older layouts to open_clip's own and resizes position embeddings
        open_clip.load_checkpoint(clip, str(file), strict=True, weights_only=True)
    except _UNREADABLE as error:
        _name_differences(clip, file)
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointMismatch(
            f"{file} cannot be loaded ({reason}); expected open_clip weights of the architecture "
            "beside it; copy or download them again"
        ) from error


def _name_differences(clip: nn.Module, file: Path) -> None:
    """Raise an error that names tensors, if the file can be read at all."""
    try:
        found = load_state_dict(str(file), weights_only=True)
        expected = clip.state_dict()
        readable = all(isinstance(tensor, Tensor) for tensor in found.values())
    except _UNREADABLE:  # the caller tells what is wrong with such a file
        return
    if readable:
        advice = f"{CONFIG_FILE} and weights must come from the same model"
        require_same_tensors(expected, found, source=str(file), advice=advice)


def _preprocessing(ours: Mapping[str, Any], source: OpenClipSource) -> Preprocessing | None:
    if "preprocessing" not in ours:
        return None
    try:
        return Preprocessing.from_dict(ours["preprocessing"])
    except (DataError, KeyError, TypeError, ValueError) as error:
        raise CheckpointMismatch(
            f"{source.name}: its section {_OURS!r} cannot be used: {error}"
        ) from error
