"""A prompt put in several sentences answers as the mean of their vectors, wherever it is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.explanation.roi_reading import read_roi
from napari_ctclip.regions.drawn_region import sphere_region
from napari_ctclip.scoring.answer import score_changes
from napari_ctclip.scoring.prompt_ensemble import embed_prompts
from napari_ctclip.scoring.readout import templates_notices
from napari_ctclip.session.phrasing import check_phrasing
from napari_ctclip.session.report_reading import read_report
from napari_ctclip.testing import TinyModel
from tests.exporting.asked import asked_session
from tests.phantom import BALL_CENTRE

# the tiny model takes "bright" for high HU and whatever it does not know for a direction of chance
MIXED = TemplateSet("mixed", ("{}", "bright {}", "odd words about {}"), ("no {}", "dark {}"))


def test_an_ensemble_is_the_renormalised_mean_of_its_unit_vectors():
    model = TinyModel()
    asked = [Prompt("swirl", templates=MIXED), Prompt("swirl")]
    found = embed_prompts(model, asked)
    assert found.shape == (2, 2, 8)
    rows = model.embed_text(["swirl", "bright swirl", "odd words about swirl"])
    assert torch.allclose(found[0, 0], torch.nn.functional.normalize(rows.mean(dim=0), dim=0))
    denied = model.embed_text(["no swirl", "dark swirl"]).mean(dim=0)
    assert torch.allclose(found[0, 1], torch.nn.functional.normalize(denied, dim=0))
    assert torch.allclose(found[1], model.embed_text(["swirl", "no swirl"]))
    assert torch.equal(embed_prompts(model, asked[1:])[0], model.embed_text(["swirl", "no swirl"]))


def test_every_read_out_of_a_session_hears_the_templates(tmp_path: Path):
    session = asked_session(tmp_path)
    plain, mixed = Prompt("swirl"), Prompt("swirl", templates=MIXED)
    before, after = session.compute_answer(plain), session.compute_answer(mixed)
    heat = np.nanmax(after.similarity_map.values)
    assert abs(heat - np.nanmax(before.similarity_map.values)) > 0.01
    assert after.whole.similarity != before.whole.similarity
    session.set_templates(MIXED)
    assert session.ask("swirl").whole.similarity == after.whole.similarity
    assert session.answer_to("swirl").prompt == mixed

    # the probe: its suggestions are put in the same templates as what was asked
    at = {finding.text: finding.similarity for finding in session.probe(BALL_CENTRE).findings}
    token = tuple(
        np.rint(
            after.similarity_map.geometry.world_to_index(
                session.study.volume.geometry.index_to_world(BALL_CENTRE)
            )
        ).astype(int)
    )
    assert at["swirl"] == np.float32(after.similarity_map.values[token])
    hole = session.compute_answer(Prompt("dark hole", templates=MIXED))
    assert abs(at["dark hole"] - hole.similarity_map.values[token]) < 1e-6

    # wording check and report
    typed, *_ = check_phrasing(session, mixed).scores
    assert typed == ("swirl", after.focus.similarity)
    (line,) = read_report(session, "There is a pulmonary nodule.").lines
    nodule = session.compute_answer(Prompt(line.finding, templates=MIXED))
    assert line.score in nodule.scores


def test_a_place_ranks_all_findings_in_the_same_templates(tmp_path: Path):
    session = asked_session(tmp_path)
    region = sphere_region(session.study.volume.geometry, BALL_CENTRE, radius_mm=8.0)
    encoded = (session.model, session.encoding)
    asked = [Prompt("swirl")]
    plain = read_roi(session.study, region, encoded=encoded, asked=asked)
    mixed = read_roi(session.study, region, encoded=encoded, asked=asked, templates=MIXED)
    assert (plain.templates, mixed.templates) == (AS_TYPED, MIXED)
    was, now = ({f.text: f.similarity for f in r.local.findings} for r in (plain, mixed))
    assert was.keys() == now.keys()
    changed = [text for text in was if abs(was[text] - now[text]) > 1e-4]
    assert len(changed) == len(was)
    assert plain.local.prompts == mixed.local.prompts


def test_answers_in_different_templates_are_not_compared(tmp_path: Path):
    session = asked_session(tmp_path)
    plain, mixed = (session.compute_answer(Prompt("swirl", templates=t)) for t in (AS_TYPED, MIXED))
    assert score_changes([plain], [mixed]) == ()
    assert score_changes([mixed], [mixed])


def test_a_calibration_is_said_to_be_of_prompts_as_typed():
    model = TinyModel()
    assert templates_notices(model, AS_TYPED) == ()
    (notice,) = templates_notices(model, MIXED)
    assert "fitted to prompts as typed" in notice.message
    model.calibration = None
    assert templates_notices(model, MIXED) == ()


def test_a_finding_that_is_drawn_anew_has_the_templates_of_its_new_score(tmp_path: Path):
    from napari_ctclip.session.findings_session import FindingsSession
    from tests.exporting.asked import PROMPT, ball_finding

    session = asked_session(tmp_path)
    findings, made = FindingsSession(session), ball_finding(session)
    findings.put(made)
    assert made.origin.ensemble == "as typed"
    session.ask(Prompt(PROMPT, templates=MIXED))
    drawn = findings.compute_reshaped(made.key, made.region)
    assert drawn.prompt == replace(made.prompt, templates=MIXED)
    assert drawn.origin.ensemble == "mixed"
    assert drawn.similarity != made.similarity
