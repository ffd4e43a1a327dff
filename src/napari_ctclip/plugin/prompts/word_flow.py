"""Word flow: chosen words of a prompt or a report, from the choice to their map in the viewer."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from psygnal import Signal
from qtpy.QtWidgets import QWidget

from napari_ctclip.core.prompt import Prompt
from napari_ctclip.plugin.canvas.difference_layer import FIRST_COLOUR, SECOND_COLOUR
from napari_ctclip.plugin.canvas.layers import NAMESPACE, Frame, LayerData, heatmap_layer
from napari_ctclip.plugin.prompts.region_flow import SELECTED_REGIONS
from napari_ctclip.plugin.widgets.colour_legend import ColourLegend, Entry
from napari_ctclip.plugin.window.jobs import Job, Progress, StopRequested
from napari_ctclip.plugin.window.window import Window
from napari_ctclip.scoring.answer import Answer
from napari_ctclip.session.word_reading import WordMap, WordMapKind, read_words

__all__ = ["WordFlow", "WordLegend"]

_KEY = "chosen words"
_COLOUR = "#fee440"
_FULL_FROM = 2.0  # Ours: even shares; attention that prefers nothing must not look strong
_LONGEST = 40  # letters in a layer's name


class WordFlow:
    """The map of the words that were chosen last; one at a time.

    Parameters
    ----------
    window : Window
        Whose scan and model are queried.
    look_at : callable
        Turns every plane to a voxel (z, y, x).
    """

    changed = Signal()
    """Another map is drawn, or none."""

    def __init__(self, window: Window, *, look_at: Callable[[tuple[int, int, int]], None]) -> None:
        session, scene = window.session, window.scene
        self.shown: WordMap | None = None
        self._session, self._jobs, self._scene = session, window.jobs, scene
        self._look_at = look_at
        self._latest: object = None
        self._drawing = False
        self._hid_regions = False
        session.encoding_changed.connect(self._on_encoding_changed)
        session.answered.connect(self._on_answered)
        session.answer_removed.connect(self._on_answer_removed)
        scene.viewer.layers.events.removed.connect(self._on_layer_removed)

    # --- the user's side ------------------------------------------------------------------------

    def show(self, prompt: Prompt, chosen: Iterable[int], *, go_there: bool = False) -> None:
        """Draw where chosen words of a prompt are, in the background.

        Parameters
        ----------
        prompt : Prompt
            The whole text.
        chosen : iterable of int
            Which of its words, counted from 0; none takes the map off.
        go_there : bool
            Turn to where it is highest.

        Raises
        ------
        CtClipError
            If the scan is not encoded.
        """
        session, words, latest = self._session, tuple(chosen), object()
        self._latest = latest
        if not words:
            self.clear()
            return
        encoding = session.ready().encoding

        def work(progress: Progress, should_stop: StopRequested) -> WordMap:
            return read_words(session, prompt, words)

        def wanted() -> bool:
            now = session.encoding
            return self._latest is latest and now is not None and now.scan is encoding.scan

        def done(found: WordMap) -> None:
            self._draw(found)
            if go_there:
                self.go_to_peak()

        def failed(error: Exception) -> bool:
            del error
            self.clear()  # the map before is of other words
            return False

        # no word in the title: a report's are shown nowhere but in its own window
        job = Job("Reading the chosen words", work, done, still_wanted=wanted, on_error=failed)
        self._jobs.submit(job)

    def clear(self) -> None:
        """Take the map off."""
        self._latest = None
        shown, self.shown = self.shown, None
        if shown is None:
            return
        if shown.kind is WordMapKind.DIFFERENCE:
            self._scene.difference.remove()
        self._scene.take_off(_KEY)
        regions = self._scene.layer(SELECTED_REGIONS)
        if self._hid_regions and regions is not None:
            regions.visible = True
        self._hid_regions = False
        self.changed.emit()

    def go_to_peak(self) -> None:
        """Turn every plane to where the words are found most."""
        peak = None if self.shown is None else self.shown.found.peak()
        if peak is not None and self._scene.frame is not None:
            self._look_at(self._scene.frame.world_to_index(peak.world_mm))

    def legend(self) -> tuple[Entry, ...]:
        """Return what each colour means; empty while nothing is drawn."""
        if self.shown is None:
            return ()
        said = self.shown.phrase.said
        if self.shown.kind is WordMapKind.DIFFERENCE:
            return (
                (FIRST_COLOUR, "orange", f"lost without “{said}”"),
                (SECOND_COLOUR, "blue", f"gained without “{said}”"),
            )
        low, high = _limits(self.shown)
        meaning = f"attention of “{said}”, {low:.3f} (an even share, clear) to {high:.3f} (full)"
        return ((_COLOUR, "yellow", meaning),)

    # --- inside ---------------------------------------------------------------------------------

    def _draw(self, found: WordMap) -> None:
        frame = self._scene.frame
        if frame is None:
            return
        self._drawing = True  # the last one goes first
        try:
            if found.kind is WordMapKind.DIFFERENCE:
                self._scene.difference.show(found.found, frame)
            else:
                self._hide_regions()
                self._scene.take_off(_KEY)
                self._scene.put(_KEY, _attention_layer(found, frame))
        finally:
            self._drawing = False
        self.shown = found
        self.changed.emit()

    def _hide_regions(self) -> None:
        """Hide the veil over all selected regions: the words' map says where they are."""
        regions = self._scene.layer(SELECTED_REGIONS)
        if regions is not None and regions.visible:
            regions.visible = False
            self._hid_regions = True

    def _is_drawn(self, shown: WordMap) -> bool:
        if shown.kind is WordMapKind.DIFFERENCE:
            return self._scene.difference.is_there
        return self._scene.layer(_KEY) is not None

    def _on_encoding_changed(self, encoding: object) -> None:
        if encoding is None:
            self.clear()

    def _on_answered(self, answer: Answer) -> None:
        drawn = None if self.shown is None else self.shown.prompt
        if (
            drawn is not None
            and drawn.positive == answer.prompt.positive
            and drawn != answer.prompt
        ):
            self.clear()  # it is contrasted with another negative now

    def _on_answer_removed(self, positive: str) -> None:
        if self.shown is not None and self.shown.prompt.positive == positive:
            self.clear()

    def _on_layer_removed(self, *_: object) -> None:
        if not self._drawing and self.shown is not None and not self._is_drawn(self.shown):
            self.clear()  # also after the user took the layer off, or compared two prompts


class WordLegend(ColourLegend):
    """The legend of the chosen words' map, with which kind of map it is.

    Parameters
    ----------
    flow : WordFlow
        Whose map it explains.
    parent : QWidget or None
        The panel.
    """

    def __init__(self, flow: WordFlow, parent: QWidget | None = None) -> None:
        super().__init__("Colours of the chosen words", parent)
        self._flow = flow
        flow.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Write what is drawn now."""
        shown = self._flow.shown
        self.explain(self._flow.legend(), "" if shown is None else shown.kind.explanation)


def _limits(found: WordMap) -> tuple[float, float]:
    highest = float(found.found.values.max())
    return found.even_share, max(_FULL_FROM * found.even_share, highest)


def _attention_layer(found: WordMap, frame: Frame) -> LayerData:
    values, properties, kind = heatmap_layer(
        found.found, frame, colour=_COLOUR, limits=_limits(found), smooth=False
    )  # a region is a token: its edges are true
    metadata = {"schema": 1, "role": "regions", "score_kind": found.kind.value}
    properties |= {
        "name": f"Chosen words: {found.phrase.said[:_LONGEST]}",
        "opacity": 0.8,
        "metadata": {NAMESPACE: metadata},
    }
    return values, properties, kind
