"""The language model fills the same structure; whatever it answers, a report is read."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from napari_ctclip.core.errors import DataError
from napari_ctclip.reports import Certainty, Status, decompose
from napari_ctclip.reports.llm import LlmReader

REPORT = "The heart is big. The liver is normal."
GOOD = {
    "sentences": [
        {
            "number": 1,
            "anatomies": ["heart"],
            "status": "abnormal",
            "findings": [{"name": "cardiomegaly", "certainty": "present"}],
        },
        {"number": 2, "anatomies": ["liver"], "status": "normal", "findings": []},
    ]
}


class Service:
    """A made-up service on this machine: answers what it is told, remembers what it was asked."""

    def __init__(self) -> None:
        self.said, self.code = json.dumps(GOOD), 200
        self.asked: list[tuple[dict[str, Any], dict[str, str]]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.asked.append((body, dict(self.headers)))
                self.send_response(service.code)
                self.end_headers()
                answer = {"choices": [{"message": {"content": service.said}}]}
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_the_answer_fills_the_structure(service, tmp_path):
    report = LlmReader(service.url, "m", tmp_path, key="secret-key").decompose(REPORT)
    assert report.finding_certainties == {"cardiomegaly": Certainty.PRESENT}
    assert report.normal_flags == {"heart": False, "liver": True}
    assert report.sentences[1].status is Status.NORMAL
    assert not report.notices
    body, headers = service.asked[0]
    assert headers["Authorization"] == "Bearer secret-key"
    assert body["model"] == "m"
    assert "1. The heart is big." in body["messages"][1]["content"]
    assert "cardiomegaly" in body["messages"][0]["content"]


def test_an_answer_is_asked_for_once(service, tmp_path):
    reader = LlmReader(service.url, "m", tmp_path)
    assert reader.decompose(REPORT) == reader.decompose(REPORT)
    assert len(service.asked) == 1
    LlmReader(service.url, "another", tmp_path).decompose(REPORT)
    assert len(service.asked) == 2


def test_a_fenced_answer_is_read(service, tmp_path):
    service.said = f"```json\n{json.dumps(GOOD)}\n```"
    assert not LlmReader(service.url, "m", tmp_path).decompose(REPORT).notices


@pytest.mark.parametrize(
    "said",
    [
        "I cannot do that.",
        json.dumps({"sentences": []}),
        json.dumps({"sentences": [GOOD["sentences"][1], GOOD["sentences"][0]]}),
        json.dumps(GOOD).replace("cardiomegaly", "made-up disease"),
        json.dumps(GOOD).replace('"heart"', '"gizzard"'),
        json.dumps(GOOD).replace("present", "perhaps"),
        json.dumps({"sentences": "no"}),
    ],
)
def test_a_malformed_answer_leaves_the_rules_reading_and_a_notice(service, tmp_path, said):
    service.said = said
    report = LlmReader(service.url, "m", tmp_path).decompose(REPORT)
    assert report.sentences == decompose(REPORT).sentences
    assert [notice.code for notice in report.notices] == ["llm-fallback"]
    assert not list(tmp_path.iterdir())  # only good answers are kept


def test_an_error_of_the_service_is_a_notice_without_the_key(service, tmp_path, caplog):
    service.code = 500
    reader = LlmReader(service.url, "m", tmp_path, key="secret-key")
    report = reader.decompose(REPORT)
    assert "HTTP 500" in report.notices[0].message
    assert "secret-key" not in str(report.notices) + repr(reader) + caplog.text


def test_no_service_is_a_notice(tmp_path):
    report = LlmReader("http://127.0.0.1:9/v1", "m", tmp_path, timeout_s=2).decompose(REPORT)
    assert [notice.code for notice in report.notices] == ["llm-fallback"]


def test_an_address_that_is_none_is_refused(tmp_path):
    with pytest.raises(DataError, match="no address"):
        LlmReader("file:///etc/passwd", "m", tmp_path)


def test_an_empty_report_is_not_sent(service, tmp_path):
    assert LlmReader(service.url, "m", tmp_path).decompose("").notices[0].code == "empty-report"
    assert not service.asked
