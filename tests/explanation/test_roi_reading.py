from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import TemplateSet
from napari_ctclip.encoding.feature_cache import FeatureCache
from napari_ctclip.encoding.work import Work
from napari_ctclip.explanation.roi_reading import (
    RoiReading,
    finding_words,
    no_similar_words,
    organ_words,
    read_roi,
    reference_words,
    statistics_words,
)
from napari_ctclip.exporting.explanation_files import ROI_COLUMNS, write_roi
from napari_ctclip.regions.drawn_region import organ_region, sphere_region
from napari_ctclip.scoring.encoded_study import encode_study
from napari_ctclip.testing import TinyModel
from tests.phantom import BALL_CENTRE, ball_study

STUDY = ball_study()
BALL = sphere_region(STUDY.volume.geometry, BALL_CENTRE, radius_mm=6.0)


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> RoiReading:
    model = TinyModel()
    encoded = encode_study(model, STUDY, work=Work(FeatureCache(tmp_path_factory.mktemp("cache"))))
    asked = [Prompt("bright spot"), Prompt("lung nodule", "dark air")]
    return read_roi(STUDY, BALL, encoded=(model, encoded), asked=asked)


def test_dictionary_and_own_prompts_are_ranked_together_each_once(reading: RoiReading) -> None:
    assert reading.local is not None
    texts = [finding.text for finding in reading.local.findings]
    assert texts.count("lung nodule") == 1
    assert "bright spot" in texts
    assert "emphysema" in texts
    assert reading.local.findings[0].text in ("bright spot", "lung nodule", "ground-glass nodule")
    known = {finding.text for finding in reading.local.findings if finding.known}
    assert known == {"bright spot"}
    place = reading.local.similar[0]
    index = STUDY.volume.geometry.world_to_index(place.world_mm)
    assert place.organ == ("lung_right" if index[2] < 31.5 else "lung_left")


def test_most_of_an_organ_has_no_similar_places_and_says_why(tmp_path: Path) -> None:
    model = TinyModel()
    encoded = encode_study(model, STUDY, work=Work(FeatureCache(tmp_path)))
    right = organ_region(STUDY.organ_masks, "lung_right")
    local = read_roi(STUDY, right, encoded=(model, encoded)).local
    assert local.whole_organ
    assert local.similar == ()
    assert "(right lung)" in no_similar_words(local)
    assert "Compare the mirrored side: left lung." in no_similar_words(local)
    ball = read_roi(STUDY, BALL, encoded=(model, encoded)).local
    assert not ball.whole_organ
    assert no_similar_words(ball) == ""


def test_a_scan_that_is_not_encoded_has_numbers_and_no_findings() -> None:
    reading = read_roi(STUDY, BALL)
    assert reading.local is None
    assert organ_words(reading.statistics) == "left lung 100%"
    assert statistics_words(reading.statistics) == (
        "0.86 ml; mean 700 ± 0 HU, median 700, 5 to 95 %: 700 to 700"
    )


def test_words_say_what_each_number_is_held_against(reading: RoiReading) -> None:
    local = reading.local
    assert local is not None
    first = next(f for f in local.findings if f.text == "bright spot")
    words = finding_words(first, local)
    assert words.startswith("“bright spot”: similarity +")
    assert f"all {local.controls} control regions of this shape in the left lung" in words
    assert "across the midline (right lung) -" in words
    assert f"of {local.prompts} other findings fit as well (p 0.0" in words
    assert words.endswith("The model was trained with this finding.")
    other = next(f for f in local.findings if not f.known)
    assert "was not trained with this finding" in finding_words(other, local)
    assert reference_words(local) == (
        f"Compared with {local.controls} control regions of this shape in the left lung; mirrored "
        f"side: right lung; {local.prompts} other findings in this region."
    )
    assert reference_words(local, TemplateSet("ct", ("CT shows {}.",))).endswith(
        "region. Prompt template: ct."
    )


def test_a_whole_organ_is_said_to_have_nothing_of_its_shape_to_compare_with(
    tmp_path: Path,
) -> None:
    model = TinyModel()
    encoded = encode_study(model, STUDY, work=Work(FeatureCache(tmp_path)))
    organ = organ_region(STUDY.organ_masks, "lung_left")
    local = read_roi(STUDY, organ, encoded=(model, encoded)).local
    assert local is not None
    assert "too few control regions of this shape fit in the left lung" in reference_words(local)
    assert "control regions" not in finding_words(local.findings[0], local)


def test_tables_hold_every_finding_and_what_made_them(reading: RoiReading, tmp_path: Path) -> None:
    files = write_roi(
        reading, tmp_path / "new", drawn={"radius_mm": 6.0}, provenance={"device": "cpu"}
    )
    assert [path.name for path in files] == [
        "findings.csv", "similar.csv", "hounsfield.csv", "roi.json"
    ]  # fmt: skip
    assert reading.local is not None
    rows = list(csv.DictReader(files[0].open(encoding="utf-8")))
    assert tuple(rows[0]) == ROI_COLUMNS
    assert [row["finding"] for row in rows] == [f.text for f in reading.local.findings]
    similar = list(csv.DictReader(files[1].open(encoding="utf-8")))
    assert len(similar) == len(reading.local.similar)
    bins = list(csv.DictReader(files[2].open(encoding="utf-8")))
    assert sum(float(row["share"]) for row in bins) == pytest.approx(1)
    told = json.loads(files[3].read_text(encoding="utf-8"))
    assert told["device"] == "cpu"
    assert told["roi"]["radius_mm"] == 6.0
    assert told["roi"]["organs"] == {"lung_left": 1.0}
    assert told["roi"]["reference_prompts"] == reading.local.prompts
    write_roi(read_roi(STUDY, BALL), tmp_path, drawn={}, provenance={})
    assert len((tmp_path / "findings.csv").read_text().splitlines()) == 1
