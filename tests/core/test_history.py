"""History: steps back and on, and how many are kept."""

from __future__ import annotations

from napari_ctclip.core.history import History


def test_a_step_back_and_on_gives_the_same_state() -> None:
    history = History("a").then("b").then("c")
    assert history.undone().present == "b"
    assert history.undone().undone().present == "a"
    assert history.undone().undone().redone().redone() == history


def test_a_new_step_forgets_what_was_taken_back() -> None:
    history = History("a").then("b").undone().then("c")
    assert history.future == ()
    assert history.undone().present == "a"


def test_without_a_step_nothing_changes() -> None:
    history = History("a")
    assert history.undone() is history
    assert history.redone() is history


def test_the_oldest_steps_are_forgotten() -> None:
    history = History(0)
    for state in range(1, 300):
        history = history.then(state)
    assert len(history.past) == 200
    assert history.past[-1] == 298
