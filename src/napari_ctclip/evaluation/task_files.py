"""Task files: findings to evaluate, each with where to look and the words it is asked in."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.errors import DataError
from napari_ctclip.core.prompt import Prompt, automatic_negative
from napari_ctclip.core.template_set import TemplateSet
from napari_ctclip.scoring.prompt_ensemble import ENSEMBLES, Ensemble, ensemble_text

__all__ = ["TaskSet", "ZeroShotTask", "read_tasks", "shipped_tasks"]

_FOLDER = Path(__file__).parent / "tasks"
_EXPECTED = "expected name, source and tasks, each with label, anatomy and positive"
_KEYS = {"name", "description", "source", "ensemble", "exclusive", "templates", "tasks"}
_TASK_KEYS = {"label", "anatomy", "positive", "negative", "published_auroc"}


@dataclass(frozen=True)
class ZeroShotTask:
    """One finding to be told from its absence.

    Attributes
    ----------
    label : str
        Its name in the table of labels.
    positives, negatives : tuple of str
        Its wordings, and those it is held against.
    anatomies : tuple of str
        Where it is read out; the highest of several decides. Empty: where the words say.
    published_auroc : float or None
        What the model's authors, or a check of their output, reach.
    """

    label: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    anatomies: tuple[str, ...] = ()
    published_auroc: float | None = None

    @property
    def prompt(self) -> Prompt:
        """The question as one prompt; several wordings stand in it as their ensemble."""
        anatomy = self.anatomies[0] if self.anatomies else ""
        return Prompt(ensemble_text(self.positives), ensemble_text(self.negatives), anatomy)


@dataclass(frozen=True)
class TaskSet:
    """Findings of one benchmark.

    Attributes
    ----------
    name, description, source : str
        Where the prompts, labels and numbers come from is in ``source``.
    tasks : tuple of ZeroShotTask
        In the file's order.
    ensemble : {"mean-embedding", "mean-logit"}
        How several wordings become one.
    exclusive : bool
        Whether a patient has one of the findings only: a montage's answer is then the softmax over
        all of them.
    """

    name: str
    description: str
    source: str
    tasks: tuple[ZeroShotTask, ...]
    ensemble: Ensemble = "mean-embedding"
    exclusive: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The label of every task."""
        return tuple(task.label for task in self.tasks)

    @property
    def wordings(self) -> tuple[tuple[str, ...], ...]:
        """Every group of wordings that is asked as one text."""
        return tuple(group for t in self.tasks for group in (t.positives, t.negatives))


def shipped_tasks() -> tuple[str, ...]:
    """Return the names of the task sets that come with the package."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def read_tasks(name_or_file: str | Path) -> TaskSet:
    """Return a task set that is shipped (``"ct_rate_16"``) or lies in a TOML file.

    Raises
    ------
    DataError
        If there is no such set, or it has an entry missing, unknown or twice.
    """
    file = Path(name_or_file)
    if not file.is_file():
        file = _FOLDER / f"{name_or_file}.toml"
    if not file.is_file():
        shipped = ", ".join(shipped_tasks())
        raise DataError(f"no task set {str(name_or_file)!r}; expected one of: {shipped}, or a file")
    try:
        return _task_set(tomllib.loads(file.read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is not readable TOML: {error}") from error
    except KeyError as error:
        raise DataError(f"{file}: {_EXPECTED}; missing {error}") from error
    except (DataError, AttributeError, TypeError) as error:
        raise DataError(f"{file}: {_EXPECTED}; {error}") from error


def _task_set(content: Mapping[str, Any]) -> TaskSet:
    _refuse_unknown(content, _KEYS)
    ensemble = content.get("ensemble", "mean-embedding")
    if ensemble not in ENSEMBLES:
        raise DataError(f"ensemble is one of {', '.join(ENSEMBLES)}, got {ensemble!r}")
    templates = TemplateSet("task", _texts(content.get("templates", "{}"), "templates"))
    tasks = tuple(_task(entry, templates) for entry in content["tasks"])
    labels = [task.label for task in tasks]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice or not tasks:
        raise DataError(f"labels are unique and at least one, got twice: {twice}")
    exclusive = content.get("exclusive", False)
    if not isinstance(exclusive, bool):
        raise DataError(f"exclusive is true or false, got {exclusive!r}")
    source, told = content["source"].strip(), content.get("description", "")
    return TaskSet(content["name"], told, source, tasks, ensemble, exclusive)


def _task(entry: Mapping[str, Any], templates: TemplateSet) -> ZeroShotTask:
    _refuse_unknown(entry, _TASK_KEYS)
    positives = _texts(entry["positive"], "positive")
    negatives = _texts(entry.get("negative", ""), "negative", may_be_empty=True)
    negatives = negatives or tuple(automatic_negative(text) for text in positives)
    anatomies = _texts(entry["anatomy"], "anatomy", may_be_empty=True)
    organ = anatomy_label(anatomies[0]) if anatomies else ""
    return ZeroShotTask(
        str(entry["label"]),
        tuple(worded for text in positives for worded in templates.worded(text, organ=organ)),
        tuple(worded for text in negatives for worded in templates.worded(text, organ=organ)),
        anatomies,
        entry.get("published_auroc"),
    )


def _texts(value: Any, what: str, *, may_be_empty: bool = False) -> tuple[str, ...]:
    """Return one text or a list of texts as a tuple without the empty ones."""
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in listed):
        raise DataError(f"{what} is a text or a list of texts, got {value!r}")
    found = tuple(" ".join(text.split()) for text in listed if text.strip())
    if not found and not may_be_empty:
        raise DataError(f"{what} needs at least one word, got {value!r}")
    return found


def _refuse_unknown(entry: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(entry) - known)
    if unknown:
        raise DataError(f"unknown keys {unknown}; known are {sorted(known)}")
