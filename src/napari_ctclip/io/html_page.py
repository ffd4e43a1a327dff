"""HTML page: one file with the common frame and style, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

__all__ = ["render_page"]

_FRAME = "page.html.jinja"


def render_page(
    package: str,
    template: str,
    *,
    filters: Mapping[str, Callable[..., Any]] | None = None,
    **values: Any,
) -> str:
    """Return the page of a template that extends ``page.html.jinja``; values are escaped.

    A template may include the files beside it.

    Parameters
    ----------
    package : str
        The package that the template lies in.
    template : str
        The template's path there.
    filters : mapping of str to callable, optional
        Further filters of the template.
    **values
        What the template shows.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder_name, _, name_there = template.rpartition("/")
    beside = files(package).joinpath(folder_name)

    def load(name: str) -> str:
        folder = files("napari_ctclip.io") if name == _FRAME else beside
        return folder.joinpath(name).read_text("utf-8")

    environment = Environment(
        loader=FunctionLoader(load),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= dict(filters or {})
    return environment.get_template(name_there).render(**values)
