"""Fetch: one file from an address: resumed, verified, there whole or not at all.

The standard library's client: the Hugging Face one starts an interrupted download from nothing.
"""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO
from urllib.parse import urlsplit

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.io.files import PartialDownload

__all__ = ["Progress", "Remote", "fetch", "sha256_of", "stated_by_hub"]

Progress = Callable[[str, int, int], None]
"""Called with (file, bytes there, bytes in all; 0 while unknown)."""

_BLOCK = 1 << 20
_TIMEOUT_S = 20.0
_SHA256_DIGITS, _GIT_DIGITS = 64, 40


@dataclass(frozen=True)
class Remote:
    """Where a file lies, and what is known of it.

    Attributes
    ----------
    url : str
        Its address.
    size : int
        Bytes; 0 where the server does not say.
    sha256, git_sha1 : str
        Checksums (hex) that it must have; empty where not known. Git's is over a header and the
        content: the hub gives it for small files.
    commit : str
        Of its repository; empty if it has none.
    """

    url: str
    size: int = 0
    sha256: str = ""
    git_sha1: str = ""
    commit: str = ""


def fetch(remote: Remote, target: Path, *, progress: Progress | None = None) -> str:
    """Return the SHA-256 (hex) of a file after bringing it to ``target``.

    An interrupted call is resumed from what it left beside the target. The target appears
    only when it is whole and its checksum right.

    Raises
    ------
    CtClipError
        If the server cannot be reached, or the content is not what it should be; then the part is
        removed.
    """
    part = PartialDownload(target)
    try:
        with part.opened() as file:
            _continue(remote, file, report=partial(progress or _unreported, target.name))
    except OSError as error:
        raise CtClipError(
            f"{remote.url} cannot be downloaded: {_reason(error)}; "
            f"{part.size / 1e6:.1f} MB are on disk, and the next download resumes there"
        ) from error
    sha256 = _verified(remote, part)
    part.finish()
    return sha256


def stated_by_hub(url: str) -> Remote:
    """Return size, checksum and commit that the Hugging Face hub states for a file's address.

    Raises
    ------
    CtClipError
        If it cannot be reached or has no such file.
    """
    opener = urllib.request.build_opener(_SameHostOnly)
    request = urllib.request.Request(url, method="HEAD", headers={"Accept-Encoding": "identity"})
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            headers, size = answer.headers, answer.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        if error.code not in (301, 302, 303, 307, 308):
            raise _unreachable(url, error) from error
        headers, size = error.headers, None  # large files lie elsewhere; the hub knows them
    except OSError as error:
        raise _unreachable(url, error) from error
    etag = (headers.get("X-Linked-Etag") or headers.get("ETag") or "").removeprefix("W/").strip('"')
    return Remote(
        url=url,
        size=int(headers.get("X-Linked-Size") or size or 0),
        sha256=etag if len(etag) == _SHA256_DIGITS else "",
        git_sha1=etag if len(etag) == _GIT_DIGITS else "",
        commit=headers.get("X-Repo-Commit") or "",
    )


class _SameHostOnly(urllib.request.HTTPRedirectHandler):
    """Follows a renamed repository, and stops where the content lies on another host."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            return None
        return urllib.request.Request(newurl, method="HEAD", headers=dict(req.header_items()))


def _unreachable(url: str, error: Exception) -> CtClipError:
    if isinstance(error, urllib.error.HTTPError):
        granted = error.code in (401, 403)
        advice = "ask for access on its page" if granted else "see whether its page has moved"
        return CtClipError(f"{url}: the server answers {error.code} {error.reason}; {advice}")
    return CtClipError(
        f"{url} cannot be reached: {_reason(error)}; if this machine has no network, download on "
        "another and copy the model's folder"
    )


def _unreported(file: str, done: int, total: int) -> None:
    """Take in progress that nobody follows."""


def _continue(remote: Remote, file: BinaryIO, *, report: Callable[[int, int], None]) -> None:
    """Write the rest of a file behind what is there of it."""
    start = file.tell()
    if remote.size and start >= remote.size:
        return  # whole, or too long: its checksum decides
    request = urllib.request.Request(remote.url, headers={"Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        if answer.status != 206:  # the server begins anew, so do we
            start = file.seek(0)
            file.truncate()
        total = start + int(answer.headers.get("Content-Length") or 0)
        while block := answer.read(_BLOCK):
            file.write(block)
            start += len(block)
            report(start, remote.size or total)
    expected = remote.size or total
    if start < expected:
        raise OSError(f"the connection ended after {start} of {expected} bytes")


def _verified(remote: Remote, part: PartialDownload) -> str:
    sha256 = sha256_of(part.path)
    problems = []
    if remote.size and part.size != remote.size:
        problems.append(f"expected {remote.size} bytes, got {part.size}")
    if remote.sha256 and sha256 != remote.sha256:
        problems.append(f"expected SHA-256 {remote.sha256}, got {sha256}")
    if remote.git_sha1 and (found := _git_sha1_of(part.path)) != remote.git_sha1:
        problems.append(f"expected git SHA-1 {remote.git_sha1}, got {found}")
    if problems:
        part.discard()
        raise CtClipError(
            f"{remote.url} is not the file it should be: {'; '.join(problems)}; it was removed, "
            "nothing of it is used. Download again, or ask the model's makers"
        )
    return sha256


def sha256_of(file: Path) -> str:
    """Return the SHA-256 (hex) of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _git_sha1_of(file: Path) -> str:
    digest = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    lines = str(reason).strip().splitlines()
    return lines[0] if lines else type(error).__name__
