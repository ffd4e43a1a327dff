"""A hub on 127.0.0.1: answers ranges, states checksums, and can break off in the middle."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class SmallHub:
    """What it serves, how it misbehaves, and what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.large: set[str] = set()
        self.breaks_after: int | None = None
        self.knows_ranges = True
        self.stated: dict[str, str] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.address = ""

    def put(self, repository: str, path: str, content: bytes, *, large: bool = False) -> None:
        """Serve a file; a large one lies on another host, as the real hub's do."""
        address = f"/{repository}/resolve/main/{path}"
        self.files[address] = content
        if large:
            self.large.add(address)

    def etag(self, address: str) -> str:
        content = self.files[address]
        if address in self.stated:
            return self.stated[address]
        if address in self.large:
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def small_hub() -> Iterator[SmallHub]:
    """Run a hub; its address is for ``HF_ENDPOINT``."""
    hub = SmallHub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            wanted = self.headers.get("Range", "")
            hub.asked.append((self.command, self.path, wanted))
            elsewhere = self.path.startswith("/cdn")
            address = self.path.removeprefix("/cdn")
            if address not in hub.files:
                self.send_error(404)
                return
            if address in hub.large and not elsewhere:
                self.send_response(302)
                port = self.server.server_address[1]
                self.send_header("Location", f"http://localhost:{port}/cdn{address}")
                self.send_header("X-Linked-Etag", f'"{hub.etag(address)}"')
                self.send_header("X-Linked-Size", str(len(hub.files[address])))
                self._end("0")
                return
            content = hub.files[address]
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            start = start if hub.knows_ranges else 0
            self.send_response(206 if start else 200)
            self.send_header("ETag", f'"{hub.etag(address)}"')
            self._end(str(len(content) - start))
            if body:
                stop = None if hub.breaks_after is None else start + hub.breaks_after
                self.wfile.write(content[start:stop])
                self.close_connection = True

        def _end(self, length: str) -> None:
            self.send_header("X-Repo-Commit", "c0ffee")
            self.send_header("Content-Length", length)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
