"""ROI tab: what a region of interest is, which findings fit it, and which regions are similar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtCore import QModelIndex, QObject, Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QTableView,
    QWidget,
)

from napari_ctclip.core.anatomy import anatomy_label
from napari_ctclip.core.errors import CtClipError
from napari_ctclip.core.finding import Finding
from napari_ctclip.core.region import Region
from napari_ctclip.core.roi import Roi, RoiKind
from napari_ctclip.explanation.probe import Probe
from napari_ctclip.explanation.roi_reading import (
    CAUTION,
    finding_words,
    no_similar_words,
    organ_words,
    reference_words,
    statistics_words,
)
from napari_ctclip.plugin.roi.roi_flow import RoiFlow
from napari_ctclip.plugin.roi.roi_pointer import RoiPointer
from napari_ctclip.plugin.roi.roi_tools import RoiTools
from napari_ctclip.plugin.widgets.panel_parts import push_button, sentence, tab_layout
from napari_ctclip.plugin.widgets.row_table import SORT_ROLE, Role, RowTable, row_view, sorted_rows
from napari_ctclip.plugin.widgets.themed_plot import FONT, PlotColours, ThemedPlot
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.regions.region_statistics import HounsfieldHistogram
from napari_ctclip.session.organ_readout import naming_words

if TYPE_CHECKING:
    from napari_ctclip.explanation.local_findings import LocalFinding, LocalFindings

__all__ = ["RoiPlot", "RoiTab", "RoiTable"]

_WIDTHS = (140, 48, 62, 52, 48, 50)
_HINT = "Draw a sphere or a box in any plane, click a point, or take an organ or a finding."
_NOT_ENCODED = "Encode the scan (Explore tab) to rank findings for this ROI."
_NONE = "–"
_PIXELS = 74


class RoiTab(QWidget):
    """The tab.

    Parameters
    ----------
    window : Window
        Whose scan it is about.
    flow : RoiFlow
        Whose ROI it shows.
    pointer : RoiPointer
        What draws the ROI with the mouse.
    selected_finding : callable
        Returns the finding with a region selected in the Findings tab, or None.
    """

    queried = Signal(str)
    """A finding is to be queried of the whole scan, as a prompt."""
    accepted = Signal(Region, str)
    """The ROI is to be kept as a finding: its region, and the finding's text if one is selected."""

    def __init__(
        self,
        window: Window,
        flow: RoiFlow,
        *,
        pointer: RoiPointer,
        selected_finding: Callable[[], Finding | None],
    ) -> None:
        super().__init__()
        self._window, self._flow = window, flow
        self._selected_finding = selected_finding
        self.tools = RoiTools(window, flow, pointer=pointer)
        self.text = sentence(_HINT, "What the ROI is")
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.plot = RoiPlot()
        self.plot.set_theme(window.viewer.theme)
        self.model = RoiTable(self)
        self.sorted = sorted_rows(self.model)
        self.table = self._make_table()
        self.reference = sentence(CAUTION, "What the numbers are compared with")
        self.similar = QListWidget()
        self.similar.setAccessibleName("Similar regions")
        self.similar.setToolTip("Where else the scan looks like this ROI; a click goes there")
        self.similar.setFixedHeight(58)
        self.none_similar = sentence("", "Why there are no similar regions")
        self.query = push_button("Query as prompt", "Query the selected finding of the whole scan")
        self.accept = push_button("Accept finding", "Save the ROI, named by the selected finding")
        self.save = push_button("Save…", "Tables of the ranked findings, with what they depend on")
        self._lay_out()
        self._connect()
        self._show()

    # --- layout ---------------------------------------------------------------------------------

    def _make_table(self) -> QTableView:
        table = row_view(self.sorted, "Findings of the ROI", widths=_WIDTHS, wide="last", one=True)
        table.setSortingEnabled(True)
        table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
        table.setMinimumHeight(98)
        table.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        return table

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for button in (self.query, self.accept, self.save):
            buttons.addWidget(button)
        layout = tab_layout(self, spacing=4)
        layout.addWidget(self.tools)
        layout.addWidget(self.text)
        layout.addWidget(self.plot)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.reference)
        layout.addWidget(QLabel("Similar regions"))
        layout.addWidget(self.similar)
        layout.addWidget(self.none_similar)
        layout.addLayout(buttons)

    def _connect(self) -> None:
        window, flow = self._window, self._flow
        for button, act in (
            (self.query, self._query),
            (self.accept, self._accept),
            (self.save, self._save),
            (self.tools.finding, self._take_finding),
        ):
            button.clicked.connect(lambda *_, act=act: window.guarded(act))
        self.similar.itemClicked.connect(self._go_to)
        self.similar.itemActivated.connect(self._go_to)
        selection = self.table.selectionModel()
        if selection is not None:
            selection.selectionChanged.connect(self._show_buttons)
        flow.changed.connect(self._show)
        window.viewer.events.theme.connect(lambda event: self.plot.set_theme(event.value))

    # --- the user -------------------------------------------------------------------------------

    def selected(self) -> LocalFinding | None:
        """Return the selected finding of the table."""
        selection = self.table.selectionModel()
        rows: list[QModelIndex] = [] if selection is None else selection.selectedRows()
        return self.model.rows[self.sorted.mapToSource(rows[0]).row()] if rows else None

    def _query(self) -> None:
        finding = self.selected()
        if finding is None:
            raise CtClipError("no finding is selected: click one in the table first")
        self.queried.emit(finding.text)

    def _accept(self) -> None:
        region, finding = self._flow.region, self.selected()
        if region is None:
            raise CtClipError("there is no ROI yet: draw or click one first")
        self.accepted.emit(region, "" if finding is None else finding.text)

    def _save(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Save the ROI to")
        if folder:
            self._flow.save(Path(folder))

    def _take_finding(self) -> None:
        finding = self._selected_finding()
        if finding is None or finding.region is None:
            raise CtClipError("no finding with a region is selected in the Findings tab")
        self._flow.take(Roi.finding(finding.name, finding.region))

    def _go_to(self, item: QListWidgetItem) -> None:
        index = item.data(Qt.ItemDataRole.UserRole)
        # no probe: that would make the similar region the ROI
        self._window.guarded(lambda: self._window.scene.go_to(index))

    # --- what changes elsewhere -----------------------------------------------------------------

    def follow_probe(self, probe: Probe, is_ranking: bool = False) -> None:
        """Make a sphere about the clicked point the ROI, while someone looks at this tab."""
        flow = self._flow
        now = flow.roi
        same = now is not None and now.kind is RoiKind.SPHERE and now.centre == probe.index
        if self.isVisible() and self.tools.follow.isChecked() and not same:
            self._window.guarded(lambda: flow.take(Roi.sphere(probe.index, flow.radius_mm)))

    def _show(self) -> None:
        roi, reading = self._flow.roi, self._flow.reading
        described = [_HINT] if roi is None else [roi.describe()]
        if reading is not None:
            described += [organ_words(reading.statistics), statistics_words(reading.statistics)]
            if reading.naming is not None:
                described.append(f"the model calls it {naming_words(reading.naming)}")
        elif self._flow.is_reading:
            described.append("reading …")
        self.text.setText("; ".join(described))
        self.plot.show_histogram(None if reading is None else reading.histogram)
        local = None if reading is None else reading.local
        self._list_findings()
        if reading is not None and local is not None:
            self.reference.setText(f"{reference_words(local, reading.templates)} {CAUTION}")
        else:
            self.reference.setText(CAUTION if reading is None else f"{_NOT_ENCODED} {CAUTION}")
        self._list_similar()
        self._show_buttons()

    def _list_findings(self) -> None:
        """Rank the findings anew; the selected one stays selected."""
        chosen, reading = self.selected(), self._flow.reading
        self.model.set_local(None if reading is None else reading.local)
        texts = [finding.text for finding in self.model.rows]
        if chosen is not None and chosen.text in texts:
            row = self.sorted.mapFromSource(self.model.index(texts.index(chosen.text), 0)).row()
            self.table.selectRow(row)

    def _list_similar(self) -> None:
        self.similar.clear()
        reading = self._flow.reading
        local = None if reading is None else reading.local
        why = "" if local is None else no_similar_words(local)
        self.none_similar.setText(why)
        self.none_similar.setVisible(bool(why))
        self.similar.setVisible(not why)
        if local is None:
            return
        voxels = self._flow.similar_voxels()
        for rank, (similar, index) in enumerate(zip(local.similar, voxels, strict=True), start=1):
            where = anatomy_label(similar.organ) if similar.organ else "no organ mask"
            z, y, x = index
            item = QListWidgetItem(
                f"{rank}. {where}, cosine {similar.cosine:.2f}; slice {z}, row {y}, column {x}"
            )
            item.setData(Qt.ItemDataRole.UserRole, index)
            self.similar.addItem(item)

    def _show_buttons(self, *_: object) -> None:
        reading = self._flow.reading
        self.query.setEnabled(self.selected() is not None)
        self.accept.setEnabled(self._flow.region is not None)
        self.save.setEnabled(reading is not None and reading.local is not None)


class RoiTable(RowTable["LocalFinding"]):
    """The findings of an ROI, the most similar first.

    Parameters
    ----------
    parent : QObject or None
        What it dies with.
    """

    titles = ("Finding", "Sim.", "% organ", "Mirror", "p", "Trained")
    tooltips = (
        "Findings of this organ, and your own prompts; a click on a heading sorts",
        "Similarity here, relative to this scan; not a probability of disease",
        "Percent of control regions of this shape in this organ of this patient that score lower",
        "Similarity across the midline",
        "Share of the dictionary's other findings that fit the ROI at least as well",
        "Whether the model was trained with the finding; else the similarity of the words decides",
    )

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._local: LocalFindings | None = None

    def set_local(self, local: LocalFindings | None) -> None:
        """List the findings of another ROI, or none."""
        self._local = local
        self.set_rows(() if local is None else local.findings)

    def cell(self, row: int, column: int, role: int) -> Any:
        """Return what a cell shows, or is sorted by; what cannot be said comes first or last."""
        finding = self.rows[row]
        if role == Role.DisplayRole:
            return _cells(finding)[column]
        if role == SORT_ROLE:
            return _keys(finding)[column]
        if role == Role.ToolTipRole and self._local is not None:
            return finding_words(finding, self._local)
        return None


def _cells(finding: LocalFinding) -> tuple[str, ...]:
    return (
        finding.text,
        f"{finding.similarity:+.2f}",
        _said(finding.organ_percentile, ".1f"),
        _said(finding.mirrored, "+.2f"),
        _said(finding.prompt_p, ".3f"),
        "✓ yes" if finding.known else "no",
    )


def _keys(finding: LocalFinding) -> tuple[str | float, ...]:
    unsaid = float("-inf")
    return (
        finding.text.lower(),
        finding.similarity,
        unsaid if finding.organ_percentile is None else finding.organ_percentile,
        unsaid if finding.mirrored is None else finding.mirrored,
        float("inf") if finding.prompt_p is None else finding.prompt_p,
        float(finding.known),
    )


def _said(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)


class RoiPlot(ThemedPlot):
    """A small histogram; hidden without an ROI.

    Parameters
    ----------
    parent : QWidget or None
        The tab.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("CT numbers of the ROI; the line above says the same", parent)
        self._histogram: HounsfieldHistogram | None = None
        self.setFixedHeight(_PIXELS)

    def show_histogram(self, histogram: HounsfieldHistogram | None) -> None:
        """Draw a histogram; None hides the plot."""
        self._histogram = histogram
        self.setVisible(histogram is not None)
        self.draw_soon()

    def fill(self, colours: PlotColours) -> None:
        """Draw the counts over an axis of HU."""
        counted = self._histogram
        if counted is None:
            return
        axes = self.figure.add_subplot()
        colours._replace(edge=colours.ink).dress(axes)
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.set_yticks([])
        axes.stairs(counted.shares, counted.edges, fill=True, color=colours.fill)
        axes.set_xlim(float(counted.edges[0]), float(counted.edges[-1]))
        axes.set_xlabel("HU", color=colours.ink, fontsize=FONT, labelpad=1)
