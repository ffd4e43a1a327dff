"""Data tab: open a CT, read what it is, give it organ masks."""

from __future__ import annotations

from html import escape
from pathlib import Path

from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_ctclip.core.geometry import INTERNAL_AXES
from napari_ctclip.core.notice import Notice
from napari_ctclip.core.organ_masks import OrganMasks
from napari_ctclip.core.volume import Volume
from napari_ctclip.plugin.study.organs import NAMED_COLUMN, OrganNamingFlow, OrganTable
from napari_ctclip.plugin.study.series_dialog import ask_series
from napari_ctclip.plugin.study.study_flow import StudyFlow
from napari_ctclip.plugin.widgets.panel_parts import push_button, sentence, tab_layout
from napari_ctclip.plugin.widgets.row_table import row_view
from napari_ctclip.plugin.window.settings import keep_setting
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.segmentation.totalsegmentator import is_installed
from napari_ctclip.session.organ_readout import agreement_words

__all__ = ["DataTab"]

_CT_FILES = "CT (*.nii *.nii.gz *.nrrd *.mha *.mhd *.dcm *.gz);;All files (*)"
_MASK_FILES = "Label maps (*.nii *.nii.gz *.nrrd *.mha *.mhd *.dcm);;All files (*)"
_WIDTHS = (100, 60, 150)
_FACTS = ("Size", "Spacing", "Orientation", "HU")
_WORDS = {"info": "Note", "warning": "Warning"}


class DataTab(QWidget):
    """The tab.

    Parameters
    ----------
    window : Window
        Whose scan it shows.
    flow : StudyFlow
        Opens scans and makes organ masks.
    organ_names : OrganNamingFlow
        What the model calls the organs.
    """

    def __init__(self, window: Window, flow: StudyFlow, *, organ_names: OrganNamingFlow) -> None:
        super().__init__()
        self._window, self._flow, self._organ_names = window, flow, organ_names
        self.open_file = push_button(
            "Open CT…", "NIfTI, NRRD or MetaImage file, or one DICOM file of a series"
        )
        self.open_folder = push_button(
            "Open DICOM folder…", "A folder of DICOM files; of several series one is chosen"
        )
        self.facts = QFormLayout()
        self.fact_labels = {name: sentence(selectable=True) for name in _FACTS}
        self.notices = sentence(selectable=True)
        self.load = push_button(
            "Load…", "A label map file (NIfTI, NRRD, DICOM SEG) made for this scan"
        )
        self.quick = push_button(
            "Quick masks", "Lungs, airways, bone and mediastinum from CT numbers, in seconds"
        )
        self.segment = QPushButton("TotalSegmentator")
        self.automatic = QCheckBox("Make quick masks when a CT is opened")
        self.automatic.setToolTip("For a CT that comes without masks; takes seconds")
        self.automatic.setChecked(flow.makes_masks_at_once)
        self.organs = OrganTable(self)
        self.table = row_view(self.organs, "Organs", widths=_WIDTHS, wide="first")
        self.table.setMinimumHeight(120)
        self.name_organs = push_button(
            "Name organs", "Which organ does the model call each of these? (zero-shot)"
        )
        self.named = sentence(spoken="What the model calls the organs", selectable=True)
        self.log = sentence(selectable=True)
        self._lay_out()
        self._connect()
        self._on_study_opened()
        study = window.session.study
        self._on_masks_changed(None if study is None else study.organ_masks)
        self._show_names()

    def _lay_out(self) -> None:
        opening = QHBoxLayout()
        opening.addWidget(self.open_file)
        opening.addWidget(self.open_folder)
        for name, label in self.fact_labels.items():
            self.facts.addRow(name, label)
        scan = QGroupBox("Scan")
        inside = QVBoxLayout(scan)
        inside.addLayout(self.facts)
        inside.addWidget(self.notices)
        making = QHBoxLayout()
        for button in (self.load, self.quick, self.segment):
            making.addWidget(button)
        masks = QGroupBox("Organ masks")
        inside = QVBoxLayout(masks)
        inside.addLayout(making)
        inside.addWidget(self.automatic)
        naming = QHBoxLayout()
        naming.addWidget(self.name_organs)
        naming.addWidget(self.named, 1)
        inside.addLayout(naming)
        inside.addWidget(self.table, 1)
        inside.addWidget(self.log)
        layout = tab_layout(self)
        layout.addLayout(opening)
        layout.addWidget(scan)
        layout.addWidget(masks, 1)

    def _connect(self) -> None:
        window, flow, organ_names = self._window, self._flow, self._organ_names
        self.open_file.clicked.connect(self._ask_file)
        self.open_folder.clicked.connect(self._ask_folder)
        self.load.clicked.connect(self._ask_masks)
        self.quick.clicked.connect(lambda: window.guarded(flow.make_quick_masks))
        self.segment.clicked.connect(lambda: window.guarded(flow.run_totalsegmentator))
        self.automatic.toggled.connect(self._set_automatic)
        self.name_organs.clicked.connect(lambda: window.guarded(organ_names.query))
        self.organs.shown_changed.connect(window.scene.outlines.show)
        flow.study_opened.connect(self._on_study_opened)
        flow.series_choice_needed.connect(self._on_series_choice_needed)
        window.session.masks_changed.connect(self._on_masks_changed)
        organ_names.changed.connect(self._show_names)
        window.jobs.wrote.connect(self.log.setText)

    # --- the user -------------------------------------------------------------------------------

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open CT", "", _CT_FILES)
        if path:
            self._window.guarded(lambda: self._flow.open_path(Path(path)))

    def _ask_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open DICOM folder")
        if path:
            self._window.guarded(lambda: self._flow.open_path(Path(path)))

    def _ask_masks(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load organ masks", "", _MASK_FILES)
        if path:
            self._window.guarded(lambda: self._flow.load_masks(Path(path)))

    def _on_series_choice_needed(self, path: Path, choices: tuple[str, ...]) -> None:
        series = ask_series(path, choices, parent=self)
        if series is not None:
            self._flow.open_path(path, series=series)

    def _set_automatic(self, checked: bool) -> None:
        self._flow.makes_masks_at_once = checked
        keep_setting("quick_masks", checked)

    # --- what changes elsewhere -----------------------------------------------------------------

    def _on_study_opened(self) -> None:
        study = self._window.session.study
        is_open = study is not None
        self.load.setEnabled(is_open)
        self.quick.setEnabled(is_open)
        installed = is_installed()
        self.segment.setEnabled(is_open and installed)
        self.segment.setToolTip(
            "104 organs; minutes on a CPU"
            if installed
            else "Not installed: pip install napari-ctclip[segment]"
        )
        facts = {} if study is None else _facts(study.volume)
        for name, label in self.fact_labels.items():
            label.setText(facts.get(name, "–"))
        self.notices.setText(_notice_lines(self._flow.notices))
        self.notices.setVisible(bool(self._flow.notices))
        self.log.setText("")

    def _on_masks_changed(self, masks: OrganMasks | None) -> None:
        volumes = {} if masks is None else self._flow.volumes_ml(masks)
        self.organs.set_organs(volumes, self._window.scene.outlines.hidden)

    def _show_names(self) -> None:
        names = self._organ_names
        self.organs.set_namings(names.namings)
        self.table.setColumnHidden(NAMED_COLUMN, not names.namings)
        self.name_organs.setEnabled(names.can_query)
        self.named.setText(agreement_words(list(names.namings.values())) if names.namings else "")


def _facts(volume: Volume) -> dict[str, str]:
    depth, height, width = volume.geometry.shape
    z, y, x = volume.geometry.spacing_mm
    stored = volume.stored_geometry
    oblique = stored.obliquity_degrees
    turned = f", turned by {oblique:.1f}°" if oblique > 0.1 else ""
    sample = volume.voxels[:: max(1, depth // 32), ::4, ::4]
    return {
        "Size": f"{width} x {height} x {depth} voxels",
        "Spacing": f"{x:.2f} x {y:.2f} x {z:.2f} mm",
        "Orientation": f"{stored.axis_codes} in the file{turned}; shown as {INTERNAL_AXES}",
        "HU": f"{int(sample.min())} to {int(sample.max())} (sampled)",
    }


def _notice_lines(notices: tuple[Notice, ...]) -> str:
    return "<br>".join(f"<b>{_WORDS[n.severity]}:</b> {escape(n.message)}" for n in notices)
