"""Template files: shipped sets say their source; a person's own join them or say what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.io import template_files
from napari_ctclip.io.template_files import (
    known_templates,
    make_own_file,
    read_templates,
    shipped_templates,
    templates_of_file,
    write_templates,
)
from tests.paths import DOCS


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the person's own sets, in a settings folder that is not there yet."""
    file = tmp_path / "settings" / "templates.toml"
    monkeypatch.setattr(template_files, "own_templates_file", lambda: file)
    return file


def test_shipped_sets_have_a_source_and_say_presence_and_absence_otherwise():
    first, *others = shipped_templates()
    assert first == AS_TYPED
    assert len({templates.name for templates in shipped_templates()}) == len(others) + 1
    for templates in others:
        assert templates.source
        assert len(templates.positive) == len(templates.negative)
        assert not set(templates.worded("mass")) & set(templates.worded("no mass"))
    assert read_templates("ct-clip").worded("Mass") == ("Mass is present.",)
    assert read_templates("ensemble").is_ensemble


def test_the_own_file_begins_as_an_example_that_can_be_used(own: Path):
    assert known_templates() == (shipped_templates(), ())
    assert make_own_file() == own
    assert known_templates() == (shipped_templates(), ())
    text = own.read_text("utf-8")
    own.write_text(text.replace("# [", "[").replace("# pos", "pos").replace("# neg", "neg"))
    assert make_own_file() == own  # it is not written over
    (*_, mine), notices = known_templates()
    assert mine.name == "my-hospital"
    assert mine.worded("mass", organ="lung")[0] == "The lung shows mass."
    assert read_templates("my-hospital") == mine
    assert notices == ()


def test_an_own_set_cannot_take_a_shipped_name(own: Path):
    write_own(own, '[ct-clip]\npositive = "my {}"\n[mine]\npositive = "our {}"\n')
    known, (notice,) = known_templates()
    assert [templates.name for templates in known if templates.name in ("ct-clip", "mine")] == [
        "ct-clip",
        "mine",
    ]
    assert read_templates("ct-clip").worded("mass") == ("mass is present.",)
    assert "ct-clip: name of a shipped set" in notice.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a", "not readable TOML"),
        ("a = 1", r"\[a\]: expected positive.*got 1"),
        ("[a]\nnegative = ['no {}']", r"got \['negative'\]"),
        ("[a]\npositive = '{}'\ncolour = 1", "colour"),
        ("[a]\npositive = [1]", "positive is a text or a list of texts"),
        ("[a]\npositive = 'CT'", "every template needs"),
        ("[a]\npositive = '{}'\nsource = 1", "source is a text"),
    ],
)
def test_an_odd_own_file_is_named_and_leaves_the_shipped_sets(own: Path, text: str, said: str):
    write_own(own, text)
    known, (notice,) = known_templates()
    assert known == shipped_templates()
    assert str(own) in notice.message
    with pytest.raises(DataError, match=said):
        templates_of_file(own)
    with pytest.raises(DataError, match="no templates 'nobody'; expected one of 'as typed', "):
        read_templates("nobody")


def test_a_set_that_is_written_comes_back_and_two_in_a_file_are_too_many(tmp_path: Path):
    one = TemplateSet("my own", ("The {organ} shows {}.", "{}"), ("no {}",), "us")
    file = write_templates([one], tmp_path / "one.toml")
    assert read_templates(file) == one
    assert read_templates(str(file)).source == "us"
    write_templates([one, TemplateSet("other")], file)
    with pytest.raises(DataError, match="expected one template set, got 2"):
        read_templates(file)


def write_own(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def test_the_reference_page_lists_every_shipped_sentence():
    page = (DOCS / "reference/prompt-templates.md").read_text("utf-8")
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if "|" in line}
    for templates in shipped_templates():
        row = rows[f"`{templates.name}`"]
        if templates != AS_TYPED and not templates.is_ensemble:
            assert all(f"| {text} |" in row for text in (*templates.positive, *templates.negative))
