"""Task files: findings to evaluate, each with its anatomy and its two prompts."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.prompt import Prompt

__all__ = ["TaskSet", "ZeroShotTask", "read_tasks"]

_FOLDER = Path(__file__).parent / "tasks"


@dataclass(frozen=True)
class ZeroShotTask:
    """One finding to be told from its absence.

    Attributes
    ----------
    label : str
        Its name in the table of labels.
    prompt : Prompt
        Positive, negative and anatomy.
    published_auroc : float or None
        What the model's authors, or a check of their output, reach.
    """

    label: str
    prompt: Prompt
    published_auroc: float | None = None


@dataclass(frozen=True)
class TaskSet:
    """Findings of one benchmark.

    Attributes
    ----------
    name, description, source : str
        Where the prompts, labels and numbers come from is in ``source``.
    tasks : tuple of ZeroShotTask
        In the file's order.
    """

    name: str
    description: str
    source: str
    tasks: tuple[ZeroShotTask, ...]


def read_tasks(name_or_file: str | Path) -> TaskSet:
    """Return a task set that is shipped (``"ct_rate_16"``) or lies in a TOML file.

    Raises
    ------
    DataError
        If there is no such set, or a task lacks an entry.
    """
    file = Path(name_or_file)
    if not file.is_file():
        file = _FOLDER / f"{name_or_file}.toml"
    if not file.is_file():
        shipped = ", ".join(sorted(path.stem for path in _FOLDER.glob("*.toml")))
        raise DataError(f"no task set {str(name_or_file)!r}; expected one of: {shipped}, or a file")
    try:
        content = tomllib.loads(file.read_text("utf-8"))
        tasks = tuple(
            ZeroShotTask(
                label=str(entry["label"]),
                prompt=Prompt(entry["positive"], entry["negative"], entry["anatomy"]),
                published_auroc=entry.get("published_auroc"),
            )
            for entry in content["tasks"]
        )
        return TaskSet(
            content["name"], content.get("description", ""), content["source"].strip(), tasks
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is not readable TOML: {error}") from error
    except KeyError as error:
        raise DataError(
            f"{file}: expected name, source and tasks with label, anatomy, positive and negative; "
            f"missing {error}"
        ) from error
