"""Sentences: the findings and normal tissues of the starter model, in many phrasings."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from napari_ctclip.evaluation.task_files import read_tasks

__all__ = ["TextClass", "Vocabulary", "canonical", "load_vocabulary"]


@dataclass(frozen=True)
class TextClass:
    """One thing that a token may be called.

    Attributes
    ----------
    name : str
        A finding of ``simulation.FINDINGS`` or a normal tissue.
    terms : tuple of str
        Noun phrases for the templates.
    sentences : tuple of str
        Used as they are.
    unseen : tuple of str
        Held out of all training: they measure generalisation to new phrasings.
    where : tuple of str
        Places, for the templates of findings.
    tissue : str
        Of a finding: the normal tissue that a negated text describes.
    background : str
        Of a normal tissue: the sentence that the shipped model contrasts every prompt with.
    """

    name: str
    terms: tuple[str, ...]
    sentences: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    tissue: str = ""
    background: str = ""


@dataclass(frozen=True)
class Vocabulary:
    """All text classes with the templates that turn terms into sentences."""

    findings: tuple[TextClass, ...]
    tissues: tuple[TextClass, ...]
    templates: tuple[str, ...]
    negations: tuple[str, ...]
    normal_templates: tuple[str, ...]

    @property
    def background_prompts(self) -> tuple[str, ...]:
        """One sentence a normal tissue."""
        return tuple(tissue.background for tissue in self.tissues)

    @cached_property
    def held_out(self) -> frozenset[str]:
        """Every unseen sentence in its canonical form."""
        return frozenset(canonical(text) for finding in self.findings for text in finding.unseen)

    def draw(self, kind: TextClass, rng: np.random.Generator) -> str:
        """Return one training phrasing of a finding or a normal tissue."""
        if kind.sentences and rng.random() < 0.2:
            return _choose(kind.sentences, rng)
        templates = self.templates if kind.where else self.normal_templates
        return self._fill(templates, kind, rng)

    def draw_negated(self, finding: TextClass, rng: np.random.Generator) -> str:
        """Return one training phrasing of the absence of a finding."""
        return self._fill(self.negations, finding, rng)

    def _fill(self, templates: tuple[str, ...], kind: TextClass, rng: np.random.Generator) -> str:
        # a bare term is what most people type, so it is drawn more often than any one template
        template = (
            "{}" if templates is self.templates and rng.random() < 0.3 else _choose(templates, rng)
        )
        where = _choose(kind.where, rng) if kind.where else ""
        text = template.replace("{where}", where).replace("{}", _choose(kind.terms, rng))
        return text if canonical(text) not in self.held_out else kind.name


def canonical(text: str) -> str:
    """Return a text in the form in which two phrasings count as the same."""
    return " ".join(text.lower().replace(".", " ").replace(",", " ").split())


@lru_cache(maxsize=1)
def load_vocabulary() -> Vocabulary:
    """Return the vocabulary that ships with the package.

    The sentences held out of training are the phrasings of the task set ``simulated_phrasings``.
    """
    text = files("napari_ctclip.pretraining.data").joinpath("vocabulary.toml").read_text("utf-8")
    table = tomllib.loads(text)
    held_out = {
        task.positives[0]: task.phrasings for task in read_tasks("simulated_phrasings").tasks
    }
    return Vocabulary(
        findings=tuple(
            replace(_text_class(name, entry), unseen=held_out[name])
            for name, entry in table["findings"].items()
        ),
        tissues=tuple(_text_class(name, entry) for name, entry in table["normal"].items()),
        templates=tuple(table["templates"]),
        negations=tuple(table["negations"]),
        normal_templates=tuple(table["normal_templates"]),
    )


def _text_class(name: str, entry: Mapping[str, Any]) -> TextClass:
    lists = {key: tuple(entry[key]) for key in ("terms", "sentences", "where") if key in entry}
    return TextClass(
        name, **lists, tissue=entry.get("tissue", ""), background=entry.get("background", "")
    )


def _choose(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
