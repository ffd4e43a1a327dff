from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_ctclip.core.errors import Cancelled, CtClipError
from napari_ctclip.plugin.window import jobs
from napari_ctclip.plugin.window.jobs import Job, JobQueue
from napari_ctclip.plugin.window.messages import Message, Messages

pytestmark = pytest.mark.gui


class Heard:
    def __init__(self, qtbot: Any) -> None:
        self.messages: list[Message] = []
        self.results: list[Any] = []
        teller = Messages()
        teller.told.connect(self.hear)
        self.teller = teller
        self.queue = JobQueue(teller)
        self._qtbot = qtbot

    def hear(self, message: Message) -> None:
        self.messages.append(message)

    def run(self, work: Callable[..., Any], **options: Any) -> None:
        self.queue.submit(Job("Work", work, self.results.append, **options))

    def wait(self) -> None:
        self._qtbot.waitUntil(lambda: self.queue.is_idle, timeout=10_000)


@pytest.fixture
def heard(qtbot: Any) -> Heard:
    return Heard(qtbot)


def test_jobs_run_one_at_a_time_in_order_off_the_gui_thread(heard: Heard) -> None:
    running, most, threads = [0], [0], set()

    def work(progress: Any, should_stop: Any) -> int:
        running[0] += 1
        most[0] = max(most[0], running[0])
        threads.add(threading.get_ident())
        time.sleep(0.02)
        running[0] -= 1
        return len(threads)

    for _ in range(4):
        heard.run(work)
    heard.wait()
    assert len(heard.results) == 4
    assert most == [1]
    assert threading.get_ident() not in threads


def test_progress_arrives_on_the_gui_thread(heard: Heard) -> None:
    seen: list[tuple[int, int, int]] = []
    heard.queue.progressed.connect(
        lambda done, total: seen.append((done, total, threading.get_ident()))
    )
    heard.run(lambda progress, should_stop: [progress(n, 3) for n in range(4)])
    heard.wait()
    assert (3, 3, threading.get_ident()) in seen
    assert {thread for _, _, thread in seen} == {threading.get_ident()}


@pytest.mark.parametrize("error", [CtClipError("refused"), RuntimeError("no memory")])
def test_errors_are_one_line_and_the_queue_goes_on(heard: Heard, error: Exception) -> None:
    def work(progress: Any, should_stop: Any) -> None:
        raise error

    heard.run(work)
    heard.run(lambda progress, should_stop: "next")
    heard.wait()
    assert heard.results == ["next"]
    assert [m.severity for m in heard.messages] == ["error"]
    assert "\n" not in heard.messages[0].text
    assert bool(heard.messages[0].details) == (not isinstance(error, CtClipError))


def test_cancel_stops_the_running_job_and_forgets_the_waiting_ones(
    heard: Heard, qtbot: Any
) -> None:
    started = threading.Event()

    def work(progress: Any, should_stop: Callable[[], bool]) -> None:
        started.set()
        while not should_stop():
            time.sleep(0.005)
        raise Cancelled("stopped")

    ended: list[str] = []
    heard.run(work, on_end=lambda: ended.append("first"))
    heard.run(lambda *_: "never", on_end=lambda: ended.append("second"))
    qtbot.waitUntil(started.is_set)
    heard.queue.cancel()
    heard.wait()
    assert heard.results == []
    assert sorted(ended) == ["first", "second"]
    assert [m.severity for m in heard.messages] == ["info"]


def test_result_of_work_that_cannot_stop_is_dropped_after_cancel(heard: Heard, qtbot: Any) -> None:
    started = threading.Event()

    def work(progress: Any, should_stop: Any) -> str:
        started.set()
        time.sleep(0.1)
        return "late"

    heard.run(work)
    qtbot.waitUntil(started.is_set)
    heard.queue.cancel()
    heard.wait()
    assert heard.results == []


def test_unwanted_result_is_dropped_silently(heard: Heard) -> None:
    wanted = [True]

    def work(progress: Any, should_stop: Any) -> str:
        wanted[0] = False
        return "stale"

    heard.run(work, still_wanted=lambda: wanted[0])
    heard.wait()
    assert heard.results == []
    assert heard.messages == []


@pytest.fixture
def without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "triton", raising=False)


def _maps(path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (path / "maps").write_text(text)
    monkeypatch.setattr(jobs, "_MAPS", path / "maps")


@pytest.mark.usefixtures("without_triton")
def test_triton_cannot_be_imported_beside_mesas_llvm(tmp_path, monkeypatch) -> None:
    _maps(tmp_path, monkeypatch, "7f00 r-xp 0 00:00 0 /usr/lib/x86_64-linux-gnu/libLLVM-15.so.1\n")
    jobs.keep_triton_out()
    with pytest.raises(ImportError):
        import triton  # noqa: F401
    monkeypatch.delitem(sys.modules, "triton")


@pytest.mark.usefixtures("without_triton")
def test_triton_is_left_alone_where_opengl_comes_from_elsewhere(tmp_path, monkeypatch) -> None:
    _maps(tmp_path, monkeypatch, "7f00 r-xp 0 00:00 0 /usr/lib/libGLX_nvidia.so.0\n")
    jobs.keep_triton_out()
    assert "triton" not in sys.modules


def test_a_triton_that_is_loaded_already_stays(tmp_path, monkeypatch) -> None:
    loaded = object()
    monkeypatch.setitem(sys.modules, "triton", loaded)
    _maps(tmp_path, monkeypatch, "/usr/lib/libLLVM.so\n")
    jobs.keep_triton_out()
    assert sys.modules["triton"] is loaded
