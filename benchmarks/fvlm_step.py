"""One fVLM training step against a plain one: texts padded to the limit, loops over organs."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from napari_ctclip.models.bert_text_encoder import BertTextEncoder
from napari_ctclip.models.fvlm import FVLM, FVLM_ANATOMIES
from napari_ctclip.models.organ_query import intact_organs
from napari_ctclip.models.vit3d import VisionTransformer3d
from napari_ctclip.pretraining.captions import OrganCaption
from napari_ctclip.pretraining.losses import contrastive_loss
from napari_ctclip.pretraining.objectives.anatomy_contrast import AnatomyContrast
from napari_ctclip.pretraining.samples import StudyBatch

CROP = (112, 256, 352)
_LONGEST = 384
_WORDS = {"lung": 90, "heart": 30, "esophagus": 12, "aorta": 20}
"""Words of an abnormal description of each organ: a report of some 150."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def run(*, batch: int = 2) -> dict[str, str]:
    """Return the benchmark's lines: seconds of a step, and how much faster than the plain one."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        model = FVLM(VisionTransformer3d(), _bert(Path(folder))).train()
    torch.nn.init.normal_(model.organ_query.queries)
    samples = samples_of(batch)
    lines = {}
    plain = _seconds(lambda: plain_loss(model, samples), model)
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not torch.float32):
            ours = _seconds(lambda: AnatomyContrast()(model, samples)["anatomy_contrast"], model)
            same = plain if name == "fp32" else _seconds(lambda: plain_loss(model, samples), model)
        lines[f"fVLM step, batch {batch}, {name}"] = (
            f"{ours:.1f} s; plain {name} {same:.1f} s ({same / ours:.1f} x), "
            f"plain fp32 {plain:.1f} s ({plain / ours:.1f} x)"
        )
    return lines


def _seconds(loss: Callable[[], Tensor], model: torch.nn.Module) -> float:
    model.zero_grad(set_to_none=True)
    started = time.perf_counter()
    loss().backward()
    return time.perf_counter() - started


def _bert(folder: Path) -> BertTextEncoder:
    """Return a BERT-base with random weights; every letter is a piece."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *_LETTERS]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", "utf-8")
    config = {"vocab_size": 30522, "max_position_embeddings": 512}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return BertTextEncoder.untrained(folder, max_pieces=_LONGEST)


def samples_of(batch: int, *, crop: tuple[int, int, int] = CROP) -> StudyBatch:
    """Return crops with four organs each; every third organ is normal, in one of few wordings."""
    generator = torch.Generator().manual_seed(1)
    masks = torch.zeros(batch, 4, *crop, dtype=torch.bool)
    for organ in range(4):
        masks[:, organ, 4:-4, crop[1] * (organ + 1) // 6 : -8, 8:-8] = True
    captions = tuple(
        tuple(
            OrganCaption(
                _description(name, generator, normal=(row + place) % 3 == 0), (row + place) % 3 == 0
            )
            for place, name in enumerate(FVLM_ANATOMIES)
        )
        for row in range(batch)
    )
    return StudyBatch(torch.rand(batch, 1, *crop, generator=generator), masks, captions)


def _description(organ: str, generator: torch.Generator, *, normal: bool) -> str:
    if normal:
        return f"{organ[0]} n o r m a l ."
    drawn = torch.randint(26, (_WORDS[organ],), generator=generator)
    return " ".join(_LETTERS[n] for n in drawn) + " ."


def plain_loss(model: FVLM, batch: StudyBatch) -> Tensor:
    """Return the same loss, written plainly: every text at full length, every organ by itself."""
    levels = [level.flatten(2).transpose(1, 2) for level in model.encode_image(batch.images).levels]
    intact = intact_organs(batch.masks)
    query, encoder = model.organ_query, model.text_encoder
    total = torch.zeros(())
    for organ in range(len(model.anatomies)):
        images, texts, normal = [], [], []
        for patient in range(len(batch)):
            if not intact[patient, organ]:
                continue
            mask = batch.masks[patient, organ][None, None].float()
            inside = functional.max_pool3d(mask, model.patch_size).flatten() > 0
            tokens = torch.cat([level[patient, inside] for level in levels])[None]
            pooled, _ = query.attention(query.queries[organ].view(1, 1, -1), tokens, tokens)
            images.append(query.projections[organ](pooled[0, 0]))
            texts.append(batch.captions[patient][organ].text)
            normal.append(batch.captions[patient][organ].normal)
        pieces = encoder.tokenizer(
            texts,
            padding="max_length",
            truncation=True,
            max_length=encoder.max_pieces,
            return_tensors="pt",
        )
        states = encoder.bert(**pieces).last_hidden_state[:, 0]
        text = functional.normalize(model.text_projection(states), dim=-1)
        image = functional.normalize(torch.stack(images), dim=-1)
        flags = torch.tensor(normal)
        targets = ((flags[:, None] & flags) | torch.eye(len(flags), dtype=torch.bool)).float()
        if not flags.all() and not targets.all():
            total = total + contrastive_loss(image @ text.T, targets, model.logit_scale.exp())
    return total
