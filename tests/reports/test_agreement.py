"""Agreement with people: the arithmetic, and the floor on real reports where they are present."""

from __future__ import annotations

import csv
import json

import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.reports import load_lexicon
from napari_ctclip.reports.agreement import (
    Counts,
    agreement_with_labels,
    agreement_with_organ_sentences,
    in_tuning_half,
    macro_f1,
    micro_f1,
    normal_agreement,
)
from tests.conftest import SHARED_DATA

LABELS = SHARED_DATA / "text" / "ct_rate_800_reports.csv"
ORGANS = SHARED_DATA / "text" / "fvlm_organ_sentences_100.json"


def test_f1_is_the_harmonic_mean():
    counts = Counts(hit=6, extra=2, missed=4)
    assert counts.precision == 0.75
    assert counts.recall == 0.6
    assert counts.f1 == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    assert Counts().f1 == 0


def test_micro_pools_and_macro_averages():
    counts = [Counts(9, 1, 0), Counts(0, 0, 1)]
    assert micro_f1(counts) == pytest.approx(18 / 20)
    assert macro_f1(counts) == pytest.approx((18 / 19) / 2)


def test_the_halves_are_fixed_by_the_id():
    ids = [f"scan_{n}" for n in range(2000)]
    tuning = [name for name in ids if in_tuning_half(name)]
    assert tuning == [name for name in ids if in_tuning_half(name)]
    assert 900 < len(tuning) < 1100


def table(tmp_path, rows):
    labels = list(load_lexicon().label_sets["ct_rate"])
    file = tmp_path / "labels.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, ["id", "text", *labels], restval="0")
        writer.writeheader()
        writer.writerows(rows)
    return file


def test_labels_are_counted_in_both_halves(tmp_path):
    rows = [
        {
            "id": str(n),
            "text": "Emphysema. No hiatal hernia.",
            "Emphysema": "1",
            "Hiatal hernia": "1",
        }
        for n in range(20)
    ]
    halves = agreement_with_labels(table(tmp_path, rows), text="text", identifier="id")
    both = [
        halves["tuning"][label] + halves["held-out"][label]
        for label in rows[0]
        if label[0].isupper()
    ]
    assert both == [Counts(hit=20), Counts(missed=20)]
    assert min(half["Emphysema"].hit for half in halves.values()) > 0


def test_a_table_without_a_label_is_refused(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("id,text\n1,Emphysema.\n", "utf-8")
    with pytest.raises(DataError, match="Medical material"):
        agreement_with_labels(file, text="text", identifier="id")


def test_organ_sentences_are_judged_one_by_one(tmp_path):
    flag = "heart shows no significant abnormalities."
    file = tmp_path / "organs.json"
    parts = {"lung": "Lungs are clear. It is so.", "heart": f"{flag}Pericardial effusion is seen."}
    file.write_text(json.dumps({"scan": parts}), "utf-8")
    counts = agreement_with_organ_sentences(file)
    assert counts == {"lung": Counts(hit=1, missed=1), "heart": Counts(hit=1)}
    heart = normal_agreement(file)["heart"]
    assert (heart.only_theirs, heart.reasons) == (1, {"pericardial effusion": 1})


@pytest.mark.skipif(not LABELS.is_file(), reason=f"{LABELS} is not here: labelled reports")
def test_real_reports_agree_with_labels_set_by_people():
    halves = agreement_with_labels(LABELS, text="report_text", identifier="AccessionNo")
    for counts in halves.values():
        assert micro_f1(counts.values()) >= 0.90
        assert macro_f1(list(counts.values())) >= 0.85


@pytest.mark.skipif(not ORGANS.is_file(), reason=f"{ORGANS} is not here: sentences by organ")
def test_real_sentences_go_to_their_organ():
    counts = agreement_with_organ_sentences(ORGANS)
    assert set(counts) == {"lung", "heart", "esophagus", "aorta"}
    assert min(c.f1 for c in counts.values()) >= 0.85
