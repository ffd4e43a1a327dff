"""The starter architecture keeps the contract and the geometry."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ctclip.core.errors import CtClipError, DataError
from napari_ctclip.core.geometry import Geometry
from napari_ctclip.models.interface import assert_implements
from napari_ctclip.models.towers.pooling import masks_to_tokens
from tests.models.small_model import small_model


@pytest.fixture(scope="module")
def model():
    return small_model().eval()


def test_model_keeps_the_contract(model):
    assert_implements(model)


@pytest.mark.parametrize("token", [(4, 10, 15), (20, 4, 12), (12, 15, 23)])
def test_a_bright_block_peaks_in_the_token_that_covers_it(token):
    model = small_model().eval()
    model.image_encoder.fold()
    with torch.no_grad():
        for name, weight in model.image_encoder.named_parameters():
            if name.endswith("weight"):
                # even kernels answer symmetrically; coarse scales only know their coarse cell
                weight.fill_(
                    0.0 if name.startswith(("lateral.1", "lateral.2", "lateral.3")) else 0.01
                )
    image = torch.zeros(1, 4, 64, 48, 64)
    z, y, x = (slice(2 * i, 2 * i + 2) for i in token)
    image[:, :, z, y, x] = 1.0
    with torch.no_grad():
        response = model.encode_image(image).levels[-1].float().sum(dim=1)[0]
    peak = np.unravel_index(int(response.argmax()), response.shape)
    assert tuple(int(i) for i in peak) == token
    coarse = Geometry.from_spacing((64, 48, 64), (2, 2, 2)).coarsened(model.patch_size)
    middle = Geometry.from_spacing((64, 48, 64), (2, 2, 2)).index_to_world(
        2 * np.array(token) + 0.5
    )
    assert np.allclose(coarse.index_to_world(token), middle)


def test_token_grid_is_the_image_grid_over_the_patch_size(model):
    with torch.no_grad():
        dense = model.embed_dense(model.encode_image(torch.rand(2, 4, 32, 48, 64)))
    assert dense.shape == (2, 64, 16, 24, 32)
    assert torch.allclose(dense.norm(dim=1), torch.ones(2, 16, 24, 32), atol=1e-4)


def test_padding_far_away_leaves_tokens_as_they_are(model):
    image = torch.rand(1, 4, 32, 32, 32)
    padded = torch.nn.functional.pad(image, (0, 0, 0, 0, 0, 160))
    with torch.no_grad():
        alone = model.embed_dense(model.encode_image(image))
        longer = model.embed_dense(model.encode_image(padded))[:, :, :16]
    # within the reach of the coarse scales air and the end of the image differ a little
    assert (alone * longer).sum(dim=1)[:, :2].min() > 0.95
    repadded = torch.nn.functional.pad(image, (0, 0, 0, 0, 0, 320))
    with torch.no_grad():
        longest = model.embed_dense(model.encode_image(repadded))[:, :, :16]
    assert torch.allclose(longer, longest, atol=2e-2)


def test_an_answer_does_not_depend_on_the_rest_of_the_batch(model):
    one, other = torch.rand(1, 4, 32, 32, 32), 3 * torch.rand(1, 4, 32, 32, 32)
    with torch.no_grad():
        alone = model.embed_dense(model.encode_image(one))
        together = model.embed_dense(model.encode_image(torch.cat([one, other])))[:1]
    assert torch.allclose(alone, together, atol=2e-2)


def test_folded_kernels_answer_the_same():
    model = small_model().eval()
    image = torch.rand(1, 4, 32, 32, 32)
    with torch.no_grad():
        before = model.embed_dense(model.encode_image(image))
        model.image_encoder.fold()
        after = model.embed_dense(model.encode_image(image))
    assert torch.allclose(before, after, atol=2e-2)


def test_an_image_that_does_not_fit_is_refused(model):
    with pytest.raises(CtClipError, match=r"divisible by \(16, 16, 16\)"):
        model.encode_image(torch.rand(1, 4, 30, 32, 32))
    with pytest.raises(CtClipError, match="got \\(1, 3"):
        model.encode_image(torch.rand(1, 3, 32, 32, 32))


def test_an_absent_region_gives_zeros_and_no_gradient():
    model = small_model()
    masks = torch.zeros(1, 2, 32, 32, 32, dtype=torch.bool)
    masks[:, 0, 4:9, 4:9, 4:9] = True
    regions = model.embed_regions(model.encode_image(torch.rand(1, 4, 32, 32, 32)), masks)
    assert regions.present.tolist() == [[True, False]]
    assert float(regions.vectors[0, 1].abs().sum()) == 0.0
    regions.vectors[0, 1].sum().backward()
    gradients = [p.grad for p in model.image_encoder.parameters() if p.grad is not None]
    assert all(float(g.abs().sum()) == 0.0 for g in gradients)


def test_mask_membership_is_any_voxel_of_the_token():
    masks = torch.zeros(1, 1, 6, 6, 5, dtype=torch.bool)
    masks[0, 0, 3, 4, 4] = True
    tokens = masks_to_tokens(masks, (2, 2, 2))
    assert tokens.shape == (1, 1, 3, 3, 3)
    assert torch.nonzero(tokens[0, 0]).tolist() == [[1, 2, 2]]


def test_a_text_is_encoded_once_and_comes_from_the_cache_after(model, monkeypatch):
    first = model.embed_text(["lung nodule", "liver", "lung nodule"])
    assert first.shape == (3, 64)
    assert torch.equal(first[0], first[2])
    monkeypatch.setattr(
        model.text_encoder, "encode", lambda texts: pytest.fail(f"encoded again: {texts}")
    )
    assert torch.equal(model.embed_text(["liver", "lung nodule"]), first[[1, 0]])


def test_texts_beside_each_other_do_not_change_each_other(model):
    alone = model.embed_text(["small effusion"])
    model.train(False)  # forgets cached texts
    padded = model.embed_text(["small effusion", "a much longer sentence about a large effusion"])
    assert torch.allclose(alone[0], padded[0], atol=1e-5)


def test_an_empty_text_is_refused(model):
    with pytest.raises(DataError, match="empty"):
        model.embed_text(["lung nodule", " "])


def test_a_model_that_was_never_saved_has_no_hash():
    with pytest.raises(CtClipError, match="model folder"):
        small_model().weights_hash()


def test_texts_seen_before_a_model_was_moved_are_embedded_anew() -> None:
    model = small_model().eval()
    before = model.embed_text(["nodule"])
    moved = model.double().embed_text(["nodule"])
    assert moved.dtype == torch.float64
    torch.testing.assert_close(moved.float(), before)
