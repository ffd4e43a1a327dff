"""Templates: what a model hears of a prompt, and templates nobody could fill."""

from __future__ import annotations

import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.prompt import Prompt
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet

ORGAN = TemplateSet("organ", ("There is {} in the {organ}.",), ("There is no {} in the {organ}.",))


@pytest.mark.parametrize(
    ("prompt", "positives", "negatives"),
    [
        (Prompt("Lung nodule."), ("Lung nodule.",), ("no lung nodule",)),
        (
            Prompt("lung nodule.", templates=ORGAN),
            ("There is lung nodule in the lung.",),
            ("There is no lung nodule in the lung.",),
        ),
        (
            Prompt("no lung nodule", templates=ORGAN),
            ("There is no lung nodule in the lung.",),
            ("There is lung nodule in the lung.",),
        ),
        (
            Prompt("nodule", "normal parenchyma", "lung_left", ORGAN),
            ("There is nodule in the left lung.",),
            ("There is normal parenchyma in the left lung.",),
        ),
        (
            Prompt("tumour", templates=ORGAN),
            ("There is tumour in the scan.",),
            ("There is no tumour in the scan.",),
        ),
        (
            Prompt("mass", templates=TemplateSet("two", ("{}", "CT shows {}.", "{}"))),
            ("mass", "CT shows mass."),
            ("no mass", "CT shows no mass."),
        ),
    ],
)
def test_a_prompt_is_heard_in_its_templates(prompt, positives, negatives):
    assert prompt.positives == positives
    assert prompt.negatives == negatives


def test_the_same_words_in_other_templates_are_another_prompt():
    assert Prompt("mass") == Prompt("mass", templates=TemplateSet("as typed", source="elsewhere"))
    assert Prompt("mass", templates=ORGAN) != Prompt("mass")
    assert len({Prompt("mass"), Prompt("mass", templates=ORGAN)}) == 2


def test_sentences_alone_keep_the_denial_in_their_place():
    two = TemplateSet("two", ("{}", "CT shows {}."), ("no {}", "CT shows no {}."))
    assert [alone.worded("no mass") for alone in two.each_alone()] == [
        ("no mass",),
        ("CT shows no mass.",),
    ]
    odd = TemplateSet("odd", ("{}", "CT shows {}."), ("no {}",))
    assert [alone.negative for alone in odd.each_alone()] == [("no {}",), ("no {}",)]
    assert all(not alone.is_ensemble for alone in (*two.each_alone(), *odd.each_alone()))


def test_the_code_of_templates_makes_them_again():
    assert eval(repr(ORGAN), {"TemplateSet": TemplateSet}) == ORGAN
    assert not ORGAN.is_ensemble
    assert TemplateSet("two", ("{}", "CT shows {}.")).is_ensemble
    assert not AS_TYPED.is_ensemble


@pytest.mark.parametrize(
    ("name", "positive", "negative", "said"),
    [
        (" ", ("{}",), (), "need a name"),
        ("n", (), (), "at least one positive"),
        ("n", ("CT",), (), "every template needs"),
        ("n", ("{}",), ("CT",), "every template needs"),
        ("n", ("{} in {place}",), (), r"\['\{place\}'\]"),
        ("n", ("{} in {organ",), (), r"\['\{organ'\]"),
    ],
)
def test_templates_that_cannot_be_filled_are_refused(name, positive, negative, said):
    with pytest.raises(DataError, match=said):
        TemplateSet(name, positive, negative)
