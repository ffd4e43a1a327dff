"""What a benchmark compares does the same work."""

from __future__ import annotations

import pytest
import torch

from benchmarks.fvlm_step import plain_loss, samples_of
from napari_ctclip.models.text.bert_text_encoder import BertTextEncoder
from napari_ctclip.pretraining.objectives.anatomy_contrast import AnatomyContrast
from tests.models.small_fvlm import small_fvlm, write_text_folder


def test_the_plain_step_of_fvlm_has_the_same_loss_and_gradient(tmp_path):
    pytest.importorskip("transformers", reason="fVLM's text encoder needs transformers")
    model = small_fvlm(BertTextEncoder.untrained(write_text_folder(tmp_path / "bert")))
    batch = samples_of(3, crop=(32, 96, 64))
    found = []
    for loss in (
        lambda: plain_loss(model, batch),
        lambda: sum(AnatomyContrast()(model, batch).values()),
    ):
        model.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        found.append((value.item(), model.organ_query.queries.grad.clone()))
    (plain, plain_gradient), (ours, our_gradient) = found
    assert plain > 0
    assert ours == pytest.approx(plain, rel=1e-4)
    assert torch.allclose(our_gradient, plain_gradient, rtol=1e-3, atol=1e-6)
