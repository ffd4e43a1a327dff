"""What holds for every family of models: one preprocessing, a heatmap, honest scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_ctclip.core.study import Study
from napari_ctclip.core.volume import Volume
from napari_ctclip.encoding.encoding import encode_input
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.models.factory import load_model
from napari_ctclip.models.interface import FeatureMap, VisionLanguageModel
from napari_ctclip.models.published.open_clip_adapter import save_open_clip
from napari_ctclip.preprocessing.specification import Preprocessing
from napari_ctclip.scoring.similarity import softmax_probability
from napari_ctclip.session.session import Session
from tests.models.small_colipri import saved_colipri
from tests.models.small_fvlm import released_weights, write_text_folder
from tests.models.small_hlip import saved_hlip
from tests.models.small_merlin import saved_merlin
from tests.models.small_model import saved_small_model
from tests.models.small_open_clip import small_bert_open_clip, small_open_clip
from tests.phantom import ball_study


def _starter(folder: Path) -> Path:
    return saved_small_model(folder)


def _fvlm(folder: Path) -> Path:
    pytest.importorskip("transformers", reason="fVLM's text encoder needs transformers")
    from napari_ctclip.models.published.fvlm_import import save_fvlm

    text_folder = write_text_folder(folder / "bert")
    model, _ = released_weights(text_folder)
    save_fvlm(model, folder / "fvlm", text_folder=text_folder, licence="", provenance={})
    return folder / "fvlm"


def _open_clip(tower: str) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        save_open_clip(small_open_clip(tower), folder)
        return folder

    return save


def _bert_open_clip(folder: Path) -> Path:
    pytest.importorskip("transformers", reason="BERT towers need transformers")
    save_open_clip(small_bert_open_clip(folder / "bert"), folder / "model")
    return folder / "model"


def _with_transformers(save: Callable[[Path], Path]) -> Callable[[Path], Path]:
    def checked(folder: Path) -> Path:
        pytest.importorskip("transformers", reason="its text encoder needs transformers")
        return save(folder)

    return checked


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "starter": _starter,
    "fvlm": _fvlm,
    "open_clip vit": _open_clip("vit"),
    "open_clip resnet": _open_clip("resnet"),
    "open_clip siglip": _open_clip("timm-siglip"),
    "open_clip with a bert": _bert_open_clip,
    "colipri": saved_colipri,
    "hlip": _with_transformers(saved_hlip),
    "merlin": _with_transformers(saved_merlin),
}


def _watch(model: VisionLanguageModel) -> list[torch.Tensor]:
    """Return a list that gets every tensor the model is shown."""
    seen: list[torch.Tensor] = []
    encode = model.encode_image

    def watched(image: torch.Tensor) -> FeatureMap:
        seen.append(image.clone())
        return encode(image)

    model.encode_image = watched  # type: ignore[method-assign]
    return seen


@pytest.fixture(scope="module")
def study() -> Study:
    """Return the phantom with air around it, so that no model's image is all body."""
    volume = ball_study().volume
    voxels = np.pad(volume.voxels, 10, constant_values=-1000)
    return Study(Volume(voxels, volume.geometry.padded((10, 10, 10), (10, 10, 10))))


@pytest.mark.parametrize("family", FAMILIES)
def test_family_gives_a_heatmap_from_the_tensor_that_training_sees(
    family: str, study: Study, tmp_path: Path
) -> None:
    folder = FAMILIES[family](tmp_path / "files")
    session = Session(cache=FeatureCache(tmp_path / "cache"), device="cpu")
    session.set_study(Study(study.volume))
    session.load_model(str(folder))
    model = session.model
    assert model is not None
    shown = _watch(model)
    encoding = session.compute_encoding()
    session.set_encoding(encoding)
    answer = session.ask("lung nodule")

    # training has the model of the folder, and its specification as the folder tells it
    trained = load_model(folder)
    specification = Preprocessing.from_dict(trained.preprocessing.to_dict())
    seen = _watch(trained)
    encode_input(trained, specification.prepare(study.volume))
    assert len(shown) == len(seen) > 0
    assert all(torch.equal(a, b) for a, b in zip(shown, seen, strict=True))

    values = answer.similarity_map.values
    assert values.shape == encoding.scan.token_geometry.shape
    assert np.array_equal(np.isfinite(values), encoding.scan.inside)
    assert 0.02 < encoding.scan.inside.mean() < 1.0
    assert values[encoding.scan.inside].std() > 0.0


@pytest.mark.parametrize("family", ["open_clip vit", "colipri"])
def test_general_models_probability_is_the_softmax_of_the_prompt_pair_and_is_called_so(
    family: str, study: Study, tmp_path: Path
) -> None:
    session = Session(cache=FeatureCache(tmp_path / "cache"), device="cpu")
    session.set_study(Study(study.volume))
    session.load_model(str(FAMILIES[family](tmp_path / "files")))
    encoding = session.compute_encoding()
    session.set_encoding(encoding)
    answer = session.ask("lung nodule")
    model, peak = session.model, answer.similarity_map.peak()
    assert model is not None
    assert peak is not None
    with torch.inference_mode():
        vector = model.embed_dense(encoding.scan.features)[0][(slice(None), *peak.index)]
        pair = model.embed_text([answer.prompt.positive, answer.prompt.negative])
        scale = float(model.logit_scale.exp())
        expected = (scale * pair @ vector).softmax(dim=0)[0]
    found = softmax_probability(torch.tensor(peak.value), scale)
    assert float(found) == pytest.approx(float(expected), abs=1e-4)
    assert answer.whole.probability == pytest.approx(float(expected), abs=1e-4)
    assert [n.code for n in encoding.notices] == ["not-calibrated"]


def test_features_of_slices_come_from_the_cache_the_second_time(
    study: Study, tmp_path: Path
) -> None:
    folder = FAMILIES["open_clip vit"](tmp_path / "files")
    maps = []
    for name in (str(folder), str(folder), f"{folder}@coronal"):
        session = Session(cache=FeatureCache(tmp_path / "cache"), device="cpu")
        session.set_study(Study(study.volume))
        session.load_model(name)
        encoding = session.compute_encoding()
        assert encoding.from_cache == (len(maps) == 1)
        session.set_encoding(encoding)
        maps.append(session.ask("lung nodule").similarity_map)
    assert np.allclose(maps[0].values, maps[1].values, atol=1e-3, equal_nan=True)
    assert maps[2].geometry.axis_codes == "PIL"
