"""Task files: shipped ones say their source; odd ones are refused by name."""

from __future__ import annotations

import pytest
import torch

from napari_ctclip.core.anatomy import GROUPS, TOTALSEGMENTATOR_V1, TOTALSEGMENTATOR_V2
from napari_ctclip.core.errors import DataError
from napari_ctclip.evaluation.task_files import read_tasks, shipped_tasks
from napari_ctclip.regions.token_grid import THORACIC_CAVITY
from napari_ctclip.scoring.prompt_ensemble import ensemble_text, with_ensembles
from napari_ctclip.scoring.region_scores import WHOLE_SCAN
from napari_ctclip.simulation import FINDINGS
from napari_ctclip.testing import TinyModel

TASK = '[[tasks]]\nlabel = "a"\nanatomy = ""\npositive = "x"\n'
HEAD = 'name = "n"\nsource = "s"\n'


@pytest.mark.parametrize("name", shipped_tasks())
def test_shipped_tasks_say_their_source_and_look_in_known_anatomies(name):
    tasks = read_tasks(name)
    assert tasks.name == name
    assert len(tasks.source) > 80
    known = {*GROUPS, *TOTALSEGMENTATOR_V1.values(), *TOTALSEGMENTATOR_V2.values()}
    known |= {WHOLE_SCAN, THORACIC_CAVITY}
    of_patches = name == "simulated_patches"  # a patch has no organs to look in
    for task in tasks.tasks:
        assert bool(task.anatomies) != of_patches, task.label
        assert set(task.anatomies) <= known
        assert not set(task.positives) & set(task.negatives)


def test_shipped_tasks_cover_what_they_name():
    assert read_tasks("simulated").labels == FINDINGS
    assert set(read_tasks("ct_rate_16").labels) < set(read_tasks("ct_rate_18").labels)
    organs = {anatomy for t in read_tasks("organ_findings").tasks for anatomy in t.anatomies}
    assert len(read_tasks("organ_findings").tasks) == 146
    assert len(organs - {THORACIC_CAVITY}) == 18


def test_templates_multiply_wordings_and_a_missing_negative_is_made(tmp_path):
    file = tmp_path / "t.toml"
    file.write_text(
        HEAD + 'ensemble = "mean-logit"\ntemplates = ["{}", "CT with {}"]\n' + TASK, "utf-8"
    )
    tasks = read_tasks(file)
    (task,) = tasks.tasks
    assert tasks.ensemble == "mean-logit"
    assert task.positives == ("x", "CT with x")
    assert task.negatives == ("no x", "CT with no x")
    assert task.prompt.positive == "x / CT with x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TASK, "missing 'source'"),
        (HEAD, "missing 'tasks'"),
        (HEAD + TASK + TASK, "got twice: \\['a'\\]"),
        (HEAD + TASK + 'colour = "red"\n', "unknown keys \\['colour'\\]"),
        (HEAD + 'ensemble = "best"\n' + TASK, "mean-embedding, mean-logit, got 'best'"),
        (HEAD + 'templates = ["no braces"]\n' + TASK, "every template needs"),
        (HEAD + TASK.replace('"x"', '" "'), "positive needs at least one word"),
        (HEAD + TASK.replace('"x"', "3"), "a text or a list of texts"),
        ("name = ", "not readable TOML"),
    ],
)
def test_odd_task_files_are_refused_by_name(tmp_path, text, said):
    file = tmp_path / "t.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(DataError, match=f"t.toml.*{said}"):
        read_tasks(file)


# --- ensembles ------------------------------------------------------------------------------------


def test_an_ensemble_is_the_mean_of_its_wordings():
    model = TinyModel()
    group = ("one", "two", "three")
    rows = model.embed_text(group)
    text = ensemble_text(group)
    unit = with_ensembles(model, [group], ensemble="mean-embedding").embed_text([text, "four"])
    assert torch.allclose(unit[0], torch.nn.functional.normalize(rows.mean(dim=0), dim=0))
    assert torch.equal(unit[1], model.embed_text(["four"])[0])
    vector = torch.nn.functional.normalize(torch.randn(8), dim=0)
    logit = with_ensembles(model, [group], ensemble="mean-logit").embed_text([text])[0]
    assert float(vector @ logit) == pytest.approx(float((rows @ vector).mean()), abs=1e-6)


def test_single_wordings_need_no_ensemble_and_the_rest_is_the_models_own():
    model = TinyModel()
    assert with_ensembles(model, [("a",), ("b",)], ensemble="mean-logit") is model
    wrapped = with_ensembles(model, [("a", "b")], ensemble="mean-logit")
    assert wrapped.weights_hash() == model.weights_hash()
    assert not hasattr(wrapped, "anatomies")
    with pytest.raises(DataError, match="mean-embedding"):
        with_ensembles(model, [], ensemble="vote")  # type: ignore[arg-type]
