"""The pictures of a tested map fit the panel, whatever the number of tokens."""

from __future__ import annotations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.explanation.map_test import MapTest, MapTestRow
from napari_ctclip.exporting.faithfulness_figures import draw_curves, map_test_figure


def _tested(tokens: int) -> MapTest:
    shares = (0.0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    rows = [
        MapTestRow(share, round(share * tokens), 0.2 - 0.04 * n, -0.16 + 0.05 * n, 0.2, -0.16)
        for n, share in enumerate(shares)
    ]
    return MapTest(Prompt("lung nodule"), "lung_left", (4.0, 4.0, 4.0), tuple(rows))


def _in_the_panel(tested: MapTest) -> Figure:
    figure = Figure(figsize=(4.2, 1.7), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    part = figure.subfigures(1, 1, squeeze=False)[0, 0]
    draw_curves(part.subplots(1, 2, squeeze=False)[0], tested, ink="black")
    return figure


def _texts(figure: Figure) -> list[Text]:
    """Return what is written, but for the numbers at the sides."""
    legends = figure.findobj(Legend)
    texts = [text for legend in legends for text in legend.get_texts()]
    for ax in figure.axes:
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.xaxis.get_ticklabels()]
    return [text for text in texts if text.get_text()]


@pytest.mark.parametrize("tokens", [40, 3_000, 205_197])
@pytest.mark.parametrize("make", [map_test_figure, _in_the_panel])
def test_no_text_is_cut_or_lies_on_another(make, tokens):
    figure = make(_tested(tokens))
    figure.canvas.draw()
    boxes = {f"{t.get_text()} {n}": t.get_window_extent() for n, t in enumerate(_texts(figure))}
    assert len(boxes) >= 13
    for name, box in boxes.items():
        assert figure.bbox.x0 - 1 <= box.x0, name
        assert box.x1 <= figure.bbox.x1 + 1, name
        assert figure.bbox.y0 - 1 <= box.y0, name
        assert box.y1 <= figure.bbox.y1 + 1, name
        crossing = [n for n, other in boxes.items() if n != name and box.overlaps(other)]
        assert crossing == [], name
