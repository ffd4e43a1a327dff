"""Task files: the findings to evaluate, each with its prompts and the anatomy it is read from."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
_KEYS = {"name", "description", "source", "ensemble", "exclusive", "templates", "tasks",
         "phrasings_from"}  # fmt: skip
_TASK_KEYS = {"label", "anatomy", "positive", "negative", "published_auroc", "phrasings", "in_mean"}


@dataclass(frozen=True)
class ZeroShotTask:
    """One finding to be distinguished from its absence.

    Attributes
    ----------
    label : str
        Its name in the table of labels.
    positives, negatives : tuple of str
        Its phrasings as one ensemble, and the negative prompts they are contrasted with.
    anatomies : tuple of str
        Where it is read out; the highest of several decides. Empty: where the words say.
    published_auroc : float or None
        What the model's authors, or a check of their output, reach.
    phrasings : tuple of str
        Further phrasings, each queried by itself: how far the numbers hang on the words.
    in_mean : bool
        Whether the macro average counts it.
    """

    label: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    anatomies: tuple[str, ...] = ()
    published_auroc: float | None = None
    phrasings: tuple[str, ...] = ()
    in_mean: bool = True

    @property
    def prompt(self) -> Prompt:
        """The question as one prompt; several phrasings stand in it as their ensemble."""
        anatomy = self.anatomies[0] if self.anatomies else ""
        return Prompt(ensemble_text(self.positives), ensemble_text(self.negatives), anatomy)

    def phrased(self, text: str) -> ZeroShotTask:
        """Return the task in another phrasing; its negatives stay where they were chosen."""
        automatic = tuple(automatic_negative(positive) for positive in self.positives)
        negatives = (automatic_negative(text),) if self.negatives == automatic else self.negatives
        return replace(self, positives=(text,), negatives=negatives, phrasings=())


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
        How several phrasings become one.
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
    def ensembles(self) -> tuple[tuple[str, ...], ...]:
        """Every group of phrasings that is queried as one text."""
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
    tasks = _with_shared_phrasings(
        [_task(entry, templates) for entry in content["tasks"]], content.get("phrasings_from")
    )
    labels = [task.label for task in tasks]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice or not tasks:
        raise DataError(f"labels are unique and at least one, got twice: {twice}")
    source, description = content["source"].strip(), content.get("description", "")
    exclusive = _flag(content, "exclusive", default=False)
    return TaskSet(content["name"], description, source, tasks, ensemble, exclusive)


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
        _texts(entry.get("phrasings", []), "phrasings", may_be_empty=True),
        _flag(entry, "in_mean", default=True),
    )


def _with_shared_phrasings(
    tasks: Sequence[ZeroShotTask], set_name: str | None
) -> tuple[ZeroShotTask, ...]:
    """Return the tasks; one without phrasings has those of its words elsewhere in the sets."""
    elsewhere = () if set_name is None else read_tasks(set_name).tasks
    known = {task.positives: task.phrasings for task in (*elsewhere, *tasks) if task.phrasings}
    return tuple(
        replace(task, phrasings=task.phrasings or known.get(task.positives, ())) for task in tasks
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


def _flag(table: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = table.get(key, default)
    if not isinstance(value, bool):
        raise DataError(f"{key} is true or false, got {value!r}")
    return value


def _refuse_unknown(entry: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(entry) - known)
    if unknown:
        raise DataError(f"unknown keys {unknown}; known are {sorted(known)}")
