"""An experiment: the same compute for every arm, nothing done twice, a page made from it."""

from __future__ import annotations

import csv
import shutil
import tomllib

import numpy as np
import pytest
import tomli_w
import torch
from typer.testing import CliRunner

from napari_ctclip.cli import train as cli_train
from napari_ctclip.core.errors import DataError
from napari_ctclip.experiments.cohort import (
    cohort_of,
    evaluator_of,
    locked_tower_of,
    tasks_of,
)
from napari_ctclip.experiments.plan import load_plan
from napari_ctclip.experiments.results import insert_part
from napari_ctclip.models.interface import RegionEmbeddings
from napari_ctclip.pretraining.building import assemble
from napari_ctclip.testing import WIDTH, TinyModel
from tests.paths import TRAINING

SHIPPED = TRAINING / "study" / "study.toml"
SMALL = {
    "preprocessing": {"spacing_mm": [14.0, 14.0, 14.0]},
    "data": {"anatomies": ["lung", "heart"], "crop": [32, 32, 32], "simulated_studies": 6},
    "optimizer": {"steps": 3, "batch": 4, "warm_up": 1},
    "cohort": {"prevalence": {"pleural effusion": 0.5, "cardiomegaly": 0.5}},
    "evaluation": {
        "valid": 6, "test": 8, "curve_studies": 6, "curve_every": 2, "replicates": 100
    },
}  # fmt: skip


@pytest.fixture
def plan_file(tmp_path):
    plan = tomllib.loads(SHIPPED.read_text("utf-8"))
    for table, values in SMALL.items():
        plan[table] |= values
    kept = ("clip", "fvlm, normal pairs", "lrclr, selection")
    plan["arms"] = [arm for arm in plan["arms"] if arm["name"] in kept]
    plan["pairs"] = [["clip", "fvlm, normal pairs"]]
    file = tmp_path / "plan.toml"
    file.write_text(tomli_w.dumps(plan), "utf-8")
    return file


def test_shipped_plan_gives_every_arm_the_same_work():
    plan = load_plan(SHIPPED)
    recipes = [plan.recipe_of(arm) for arm in plan.arms]
    assert {arm.method for arm in plan.arms} == {"clip", "ct_glip", "lrclr", "fvlm"}
    assert all(r.optimizer == recipes[0].optimizer for r in recipes)
    assert all(r.model.image == recipes[0].model.image for r in recipes)
    learned = [
        sum(
            p.numel()
            for p in assemble(recipe).trained.image_encoder.parameters()
            if p.requires_grad
        )
        for recipe in recipes
        if recipe.objective.get("calibration") not in ("co-teaching", "momentum-text")
    ]
    assert set(learned) == {learned[0]}
    assert learned[0] > 100_000


def test_study_is_trained_evaluated_and_resumes_where_it_was(plan_file, tmp_path):
    page = tmp_path / "docs" / "explanation" / "study.md"
    page.parent.mkdir(parents=True)
    page.write_text("# Study\n<!-- results: begin -->\nold\n<!-- results: end -->\nafter\n")
    out = tmp_path / "out"
    arguments = ["study", "--plan", str(plan_file), "--out", str(out), "--page", str(page)]
    result = CliRunner().invoke(cli_train.app, arguments)
    assert result.exit_code == 0, result.output
    text = page.read_text("utf-8")
    assert "old" not in text
    assert text.endswith("after\n")
    assert "nan to" not in text
    assert "| fvlm, normal pairs | 0." in text or "| fvlm, normal pairs | 1." in text
    assert (tmp_path / "docs" / "images" / "study.png").stat().st_size > 10_000
    for arm in ("clip", "fvlm-normal-pairs", "lrclr-selection"):
        curve = list(csv.DictReader((out / arm / "curve.csv").open()))
        assert [int(row["step"]) for row in curve] == [2, 3]
    assert (out / "clip" / "evaluation" / "metrics.json").is_file()
    # an arm whose evaluation was lost is evaluated again without being trained again
    shutil.rmtree(out / "clip" / "evaluation")
    states = {file: file.stat().st_mtime_ns for file in out.glob("*/state.pt")}
    assert len(states) == 3
    again = CliRunner().invoke(cli_train.app, arguments)
    assert again.exit_code == 0, again.output
    assert {file: file.stat().st_mtime_ns for file in states} == states
    assert page.read_text("utf-8") == text


def test_another_plan_in_the_same_folder_is_refused(plan_file, tmp_path):
    arguments = ["study", "--plan", str(plan_file), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(cli_train.app, arguments).exit_code == 0
    arguments += ["--set", "optimizer.learning_rate=1e-3"]
    result = CliRunner().invoke(cli_train.app, arguments)
    assert result.exit_code == 3
    assert "another 'optimizer'" in " ".join(result.output.split())


def test_an_embedding_that_knows_the_answer_scores_it(plan_file, tmp_path):
    """The queried organ decides, its own prompt raises the score, the negative lowers it."""
    plan = load_plan(plan_file)
    evaluator, tasks = evaluator_of(plan, tmp_path, None), tasks_of(plan)
    current = []

    class Knows(TinyModel):
        training = True
        background_prompts = ()

        def eval(self):
            self.training = False

        def train(self, mode):
            self.training = mode

        def embed_text(self, texts):
            found = [tasks.labels.index(t.removeprefix("no ")) for t in texts]
            signs = torch.tensor([-1.0 if t.startswith("no ") else 1.0 for t in texts])
            return torch.eye(WIDTH)[found] * signs[:, None]

        def encode_image(self, image):
            source = evaluator.cohort[len(current)]
            current.append(source)
            self.present = torch.zeros(WIDTH)
            for number, label in enumerate(tasks.labels):
                self.present[number] = float(source.labels[label])
            return super().encode_image(image[:, :1])

        def embed_regions(self, features, masks):
            vectors = torch.zeros(1, len(plan.data.anatomies), WIDTH)
            vectors[0, 1] = self.present  # heart
            return RegionEmbeddings(vectors, masks.flatten(2).any(dim=2))

    model = Knows(spacing_mm=(14.0, 14.0, 14.0))
    model.background_prompts = ()
    model.preprocessing = assemble(plan.recipe_of(plan.arms[0])).trained.preprocessing
    table = evaluator.scores(model, of="organ", split="valid")
    assert model.training
    heart = tasks.labels.index("cardiomegaly")
    assert np.array_equal(table.similarity[:, heart], 2 * table.truth[:, heart])
    assert 0 < table.truth[:, heart].mean() < 1
    assert not table.similarity[:, 1 - heart].any()  # read at the lung, which knows nothing


def test_plans_of_earlier_versions_are_read(plan_file):
    old = tomllib.loads(plan_file.read_text("utf-8"))
    old["examination"] = old.pop("evaluation")
    plan_file.write_text(tomli_w.dumps(old), "utf-8")
    assert load_plan(plan_file).evaluation.valid == 6
    assert load_plan(plan_file, overrides=["examination.valid=7"]).evaluation.valid == 7


def test_a_cohort_has_the_findings_of_its_plan_only(plan_file, tmp_path):
    plan = load_plan(plan_file)
    tower = locked_tower_of(plan)
    cohort = cohort_of(plan, tmp_path, tower)
    rng = np.random.default_rng(0)
    samples = [cohort.sample(i, rng) for i in range(len(cohort))]
    found = set().union(*(c.abnormalities for s in samples for c in s.captions))
    assert found == {"pleural effusion", "cardiomegaly"}
    # what the tower saw ahead is what it sees, and the masks are still the voxels'
    plain = cohort_of(plan, tmp_path, None).sample(0, rng)
    model = assemble(plan.recipe_of(plan.arms[0])).trained.eval()
    image, ahead = (torch.from_numpy(s.image)[None] for s in (plain, samples[0]))
    assert torch.equal(model.encode_image(image).levels[0], model.encode_image(ahead).levels[0])
    assert np.array_equal(plain.masks, samples[0].masks)


def test_mistakes_in_plan_and_page_are_told(plan_file, tmp_path):
    with pytest.raises(DataError, match="pairs name arms that are not there: nobody"):
        load_plan(plan_file, overrides=['pairs=[["clip", "nobody"]]'])
    with pytest.raises(DataError, match="unknown: gout"):
        load_plan(plan_file, overrides=["cohort.prevalence={ gout = 0.5 }"])
    page = tmp_path / "page.md"
    page.write_text("no marks")
    with pytest.raises(DataError, match=r"page.md: expected a page with one line '<!-- results"):
        insert_part(page, "x")
