"""One fVLM training step against a plain one.

The plain one is written straightforwardly from PyTorch's own parts: a convolution cuts the patches,
``nn.TransformerEncoderLayer`` follows, every text is padded to the limit, loops go over organs and
patients.
"""

from __future__ import annotations

import json
import math
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ctclip.models.fvlm import FVLM, FVLM_ANATOMIES
from napari_ctclip.models.text.bert_text_encoder import BertTextEncoder
from napari_ctclip.models.towers.organ_query import intact_organs
from napari_ctclip.models.towers.vit3d import VisionTransformer3d
from napari_ctclip.pretraining.data.samples import StudyBatch
from napari_ctclip.pretraining.losses import contrastive_loss
from napari_ctclip.pretraining.objectives.anatomy_contrast import AnatomyContrast
from napari_ctclip.reports.captions import OrganCaption

CROP = (112, 256, 352)
_LONGEST = 384
_WORDS = {"lung": 90, "heart": 30, "esophagus": 12, "aorta": 20}
"""Words of an abnormal description of each organ: a report of some 150."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


_VARIANTS = ("plain fp32", "ours fp32", "plain bf16", "ours bf16")


def run(
    *, batch: int = 2, rounds: int = 2, clock: Callable[[], float] = time.perf_counter
) -> dict[str, str]:
    """Return the benchmark's lines: seconds of a step, ratios to both plain steps, memory.

    Every variant has a process of its own, all take turns ``rounds`` times, the best counts. Memory
    is the highest of a process, model, gradients and AdamW included.
    """
    best, memory = dict.fromkeys(_VARIANTS, math.inf), dict.fromkeys(_VARIANTS, 0.0)
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for _ in range(rounds):
            for name in _VARIANTS:
                seconds, highest = pool.submit(_measured, name, batch, clock).result()
                best[name] = min(best[name], seconds)
                memory[name] = max(memory[name], highest)
    lines = {}
    for kind in ("fp32", "bf16"):
        ours, plain = best[f"ours {kind}"], best[f"plain {kind}"]
        lines[f"fVLM step, batch {batch}, {kind}"] = (
            f"{ours:.1f} s; plain {kind} {plain:.1f} s ({plain / ours:.1f} x), "
            f"plain fp32 {best['plain fp32']:.1f} s ({best['plain fp32'] / ours:.1f} x)"
        )
        lines[f"  highest memory, {kind}"] = (
            f"{memory[f'ours {kind}']:.1f} GB; plain {kind} {memory[f'plain {kind}']:.1f} GB"
        )
    return lines


class FvlmStep:
    """One way to take a training step: forward, backward, clipping, AdamW."""

    def __init__(self, name: str, batch: int) -> None:
        self._ours, self._bf16 = name.startswith("ours"), name.endswith("bf16")
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as folder:
            self._model = FVLM(VisionTransformer3d(), _bert(Path(folder))).train()
        torch.nn.init.normal_(self._model.organ_query.queries)
        if not self._ours:
            self._model.image_encoder = PlainVit()
        self._samples = samples_of(batch)
        self._optimizer = torch.optim.AdamW(self._model.parameters(), 1e-6, fused=self._ours)
        self._objective = AnatomyContrast()

    def take(
        self, clock: Callable[[], float] = time.perf_counter, *, images: Tensor | None = None
    ) -> float:
        """Change the weights once, by its own images or others; return the seconds it took."""
        samples = self._samples if images is None else replace(self._samples, images=images)
        self._optimizer.zero_grad(set_to_none=True)
        started = clock()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._bf16):
            if self._ours:
                loss = self._objective(self._model, samples)["anatomy_contrast"]
            else:
                loss = plain_loss(self._model, samples)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        return clock() - started


class PlainVit(nn.Module):
    """The same 3D ViT-B from PyTorch's own layers."""

    patch_size = (16, 16, 32)

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv3d(1, 768, self.patch_size, stride=self.patch_size)
        self.positions = nn.Parameter(0.02 * torch.randn(1, 7 * 16 * 11, 768))
        self.dropout = nn.Dropout(0.1)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                768, 12, 3072, 0.1, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(12)
        )
        self.norm = nn.LayerNorm(768)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return four token maps (B, 768, d, h, w)."""
        maps = self.patches(image)
        x = self.dropout(maps.flatten(2).transpose(1, 2) + self.positions)
        levels = []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in (3, 6, 9):
                levels.append(x)
        levels.append(self.norm(x))
        return tuple(level.transpose(1, 2).reshape(maps.shape) for level in levels)


def _measured(name: str, batch: int, clock: Callable[[], float]) -> tuple[float, float]:
    """Return seconds of a step, the second of this process, and the process's highest memory, GB.

    In the first, kernels are chosen, memory is mapped, AdamW makes its moments.
    """
    step = FvlmStep(name, batch)
    step.take(clock)
    seconds = step.take(clock)
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def _bert(folder: Path) -> BertTextEncoder:
    """Return a BERT-base with random weights; every letter is a piece."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *_LETTERS]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", "utf-8")
    config = {"vocab_size": 30522, "max_position_embeddings": 512}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return BertTextEncoder.untrained(folder, max_tokens=_LONGEST)


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
            max_length=encoder.max_tokens,
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
