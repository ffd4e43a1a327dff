"""Template files: the shipped template sets, and a person's own in the settings folder."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import tomli_w
from platformdirs import user_config_path

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.template_set import AS_TYPED, TemplateSet
from napari_ctclip.io.files import write_text

__all__ = [
    "known_templates",
    "make_own_file",
    "own_templates_file",
    "read_templates",
    "shipped_templates",
    "templates_of_file",
    "write_templates",
]

_SHIPPED = Path(__file__).with_name("prompt_templates.toml")
_KEYS = {"positive", "negative", "source"}
_OWN_HEAD = """\
# Your own prompt templates: the window offers them, and
# napari-ctclip score --templates NAME takes them. {} stands for the words of a prompt, {organ} for
# the organ they are about. Several sentences are encoded as one, the mean of their vectors.
# Take the # off to begin:

# [my-hospital]
# positive = ["The {organ} shows {}.", "Impression: {}."]
# negative = ["The {organ} shows no {}.", "Impression: no {}."]
# source = "Phrasing of our reports"
"""


@lru_cache(maxsize=1)
def shipped_templates() -> tuple[TemplateSet, ...]:
    """Return what comes with the package, the words as typed first."""
    return (AS_TYPED, *templates_of_file(_SHIPPED))


def own_templates_file() -> Path:
    """Return where a person's own template sets lie; it need not be there."""
    return user_config_path("napari-ctclip") / "templates.toml"


def make_own_file() -> Path:
    """Return the file of a person's own template sets, made with an example if it is not there.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    file = own_templates_file()
    if not file.exists():
        try:
            write_text(file, _OWN_HEAD)
        except OSError as error:
            raise DataError(
                f"{file}: cannot be written ({error.strerror or error}); write it elsewhere and "
                "give its path to --templates"
            ) from error
    return file


def known_templates() -> tuple[tuple[TemplateSet, ...], tuple[Notice, ...]]:
    """Return the shipped template sets and a person's own, and what is wrong with the latter.

    A name of a shipped set means the same on every machine: an own set cannot take it.
    """
    shipped, file = shipped_templates(), own_templates_file()
    if not file.is_file():
        return shipped, ()
    try:
        own = templates_of_file(file)
    except DataError as error:
        return shipped, (Notice(Severity.WARNING, "own-templates-unreadable", str(error)),)
    names = {templates.name for templates in shipped}
    taken = [templates.name for templates in own if templates.name in names]
    message = f"{file}: {', '.join(taken)}: name of a shipped set; give yours another name"
    notices = (Notice(Severity.WARNING, "template-name-taken", message),) if taken else ()
    return (*shipped, *(t for t in own if t.name not in names)), notices


def read_templates(name_or_file: str | Path) -> TemplateSet:
    """Return a template set by its name, or the one that a TOML file holds.

    Raises
    ------
    DataError
        If there is none of that name, or the file is odd or holds another number of sets.
    """
    file = Path(name_or_file)
    if file.suffix == ".toml" and file.is_file():
        found = templates_of_file(file)
        if len(found) != 1:
            raise DataError(f"{file}: expected one template set, got {len(found)}")
        return found[0]
    known, notices = known_templates()
    for templates in known:
        if templates.name == str(name_or_file):
            return templates
    names = ", ".join(repr(templates.name) for templates in known)
    remarks = "".join(f"; {notice.message}" for notice in notices)
    raise DataError(
        f"no templates {str(name_or_file)!r}; expected one of {names}, or a .toml file{remarks}"
    )


def templates_of_file(file: Path) -> tuple[TemplateSet, ...]:
    """Return the template sets of a TOML file, in its order.

    Raises
    ------
    DataError
        If it cannot be read, or an entry is missing, unknown or odd.
    """
    try:
        content = tomllib.loads(file.read_text("utf-8"))
        return tuple(_set_of(name, entry) for name, entry in content.items())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{file} is not readable TOML: {error}") from error
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def write_templates(sets: Iterable[TemplateSet], file: Path) -> Path:
    """Write template sets as a file that :func:`read_templates` reads."""
    content: dict[str, Any] = {}
    for templates in sets:
        entry = {"positive": list(templates.positive), "negative": list(templates.negative)}
        content[templates.name] = entry | {"source": templates.source}
    write_text(file, tomli_w.dumps(content))
    return file


def _set_of(name: str, entry: Any) -> TemplateSet:
    if not isinstance(entry, Mapping) or set(entry) - _KEYS or "positive" not in entry:
        got = sorted(entry) if isinstance(entry, Mapping) else entry
        raise DataError(
            f"[{name}]: expected positive, and optionally negative and source, got {got}"
        )
    source = entry.get("source", "")
    if not isinstance(source, str):
        raise DataError(f"[{name}]: source is a text, got {source!r}")
    positive = _texts(name, "positive", entry["positive"])
    negative = _texts(name, "negative", entry.get("negative", []))
    return TemplateSet(name, positive, negative, " ".join(source.split()))


def _texts(name: str, what: str, value: Any) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise DataError(f"[{name}]: {what} is a text or a list of texts, got {value!r}")
    return tuple(text.strip() for text in listed)
