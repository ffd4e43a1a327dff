"""What the plugin writes in colours of its own can be read, in both of napari's themes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from napari.utils.theme import get_theme

from napari_ctclip import plugin
from napari_ctclip.exporting import faithfulness_figures as faithfulness_figures
from napari_ctclip.plugin.canvas import difference_layer, layers, slice_strip, texts
from napari_ctclip.plugin.canvas.texts import LETTER_COLOUR
from napari_ctclip.plugin.montage import gallery
from napari_ctclip.plugin.prompts import word_flow
from napari_ctclip.plugin.prompts.organ_plot import OrganPlot
from napari_ctclip.plugin.roi.roi_tab import RoiPlot
from napari_ctclip.plugin.training import training_curves
from napari_ctclip.plugin.training.training_curves import TrainingCurves
from napari_ctclip.plugin.widgets.colour_legend import PLATE, swatch
from napari_ctclip.plugin.widgets.themed_plot import ThemedPlot
from napari_ctclip.regions.region_statistics import HounsfieldHistogram

pytestmark = pytest.mark.gui

_TEXT, _GRAPHIC = 4.5, 3.0
"""Least contrast of WCAG 2.2, success criteria 1.4.3 (AA) and 1.4.11."""
_THEMES = ("dark", "light")
_OWN_COLOURS = (
    *layers.PROMPT_COLOURS,
    difference_layer.FIRST_COLOUR,
    difference_layer.SECOND_COLOUR,
    difference_layer.SD_COLOUR,
    word_flow._COLOUR,
)


def _luminance(colour: str) -> float:
    """Return the relative luminance of ``"#rrggbb"``, as WCAG 2.2 defines it."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _contrast(first: str, second: str) -> float:
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _histogram_plot() -> RoiPlot:
    plot = RoiPlot()
    plot.show_histogram(HounsfieldHistogram(np.arange(-100.0, 101.0, 50.0), np.full(4, 0.25)))
    return plot


def test_contrast_is_that_of_the_standard() -> None:
    assert _contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert _contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", _THEMES)
@pytest.mark.parametrize("make", [OrganPlot, _histogram_plot, TrainingCurves])
def test_every_text_of_a_plot_can_be_read(
    make: Callable[[], ThemedPlot], theme: str, qtbot: object
) -> None:
    plot = make()
    plot.set_theme(theme)
    plot.draw()
    paper = to_hex(plot.figure.get_facecolor())
    texts = [t for t in plot.figure.findobj(Text) if t.get_text() and t.get_visible()]
    assert paper == get_theme(theme).background.as_hex()
    assert texts
    faint = {t.get_text(): _contrast(to_hex(t.get_color()), paper) for t in texts}
    assert min(faint.values()) >= _TEXT, faint


@pytest.mark.parametrize(
    ("theme", "lines"),
    [("dark", training_curves._COLOURS), ("light", training_curves._ON_WHITE)],
)
def test_lines_of_a_training_stand_out(theme: str, lines: tuple[str, ...]) -> None:
    paper = get_theme(theme).background.as_hex()
    found = {line: _contrast(line, paper) for line in lines}
    assert min(found.values()) >= _GRAPHIC, found


@pytest.mark.parametrize("theme", _THEMES)
@pytest.mark.parametrize("mark", [faithfulness_figures._OWN, faithfulness_figures._REFERENCE])
def test_marks_of_a_test_of_the_map_stand_out(mark: str, theme: str) -> None:
    assert _contrast(mark, get_theme(theme).background.as_hex()) >= _GRAPHIC


@pytest.mark.parametrize("colour", [texts._TEXT_COLOUR, LETTER_COLOUR])
def test_text_over_the_black_of_the_picture_can_be_read(colour: str) -> None:
    assert _contrast(colour, "#000000") >= _TEXT


def test_a_caption_of_a_tile_can_be_read_over_bone() -> None:
    level = round(255 * (1 - gallery.PLATE_OPACITY))  # white under the plate
    assert _contrast(gallery.CAPTION_COLOUR, f"#{level:02x}{level:02x}{level:02x}") >= _TEXT


@pytest.mark.parametrize("colour", layers.PROMPT_COLOURS)
def test_a_track_and_its_name_stand_out_in_the_slice_strip(colour: str) -> None:
    assert _contrast(colour, slice_strip._PAPER) >= _GRAPHIC
    assert _contrast(slice_strip._INK, slice_strip._PAPER) >= _TEXT


@pytest.mark.parametrize("colour", _OWN_COLOURS)
def test_a_square_of_a_legend_stands_out_in_both_themes(colour: str) -> None:
    assert f"background-color: {PLATE}" in swatch(colour)
    assert _contrast(colour, PLATE) >= _GRAPHIC


def test_the_panel_writes_in_the_theme_s_colours_alone() -> None:
    folder = Path(plugin.__file__).parent
    coloured = [
        f"{path.name}: {line.strip()}"
        for path in sorted(folder.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"(?<![\w-])color\s*:|ForegroundRole|setForeground", line)
        and path.name != "colour_legend.py"  # the squares, tested above
    ]
    assert coloured == []
