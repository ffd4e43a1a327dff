"""Sample scans: real CT that may be downloaded, each on request only, with licence and checksum."""

from __future__ import annotations

import os
import socket
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from platformdirs import user_data_path

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.models.hub.download import require_network
from napari_ctclip.models.hub.fetch import Progress, Remote, fetch, sha256_of

__all__ = ["SampleScan", "download_sample", "known_samples", "samples_folder"]

_TABLE = Path(__file__).with_name("known_samples.toml")
_PATIENCE_S = 3.0  # without a network the user reads so at once, not after a download's time-out


@dataclass(frozen=True)
class SampleScan:
    """A real CT that can be asked for by name.

    Attributes
    ----------
    name, title : str
        What the program and the user call it.
    licence : str
        The SPDX name, or what is known of it.
    source : str
        The page it comes from.
    url : str
        Its file's address.
    file : str
        The name of the file; its ending says the format.
    sha256 : str
        The checksum (hex) that the file must have.
    size_bytes : int
        0 where it is not known.
    """

    name: str
    title: str
    licence: str
    source: str
    url: str
    file: str
    sha256: str
    size_bytes: int = 0

    @property
    def path(self) -> Path:
        """Where its file lies, or would lie after download."""
        return samples_folder() / self.name / self.file

    @property
    def is_here(self) -> bool:
        """Whether it was downloaded."""
        return self.path.is_file()

    @property
    def size(self) -> str:
        """Size in words."""
        return f"{self.size_bytes / 1e6:.1f} MB" if self.size_bytes else "size not known before"


def samples_folder() -> Path:
    """Return where downloads go: ``NAPARI_CTCLIP_SAMPLES`` or the user's data folder."""
    chosen = os.environ.get("NAPARI_CTCLIP_SAMPLES")
    return Path(chosen) if chosen else user_data_path("napari-ctclip") / "samples"


@cache
def known_samples() -> tuple[SampleScan, ...]:
    """Return every sample of the table."""
    table = tomllib.loads(_TABLE.read_text("utf-8"))
    return tuple(SampleScan(**entry) for entry in table["sample"])


def download_sample(sample: SampleScan, *, progress: Progress | None = None) -> Path:
    """Return the file of a sample, downloaded and verified if it is not here; resumed if it began.

    Raises
    ------
    CtClipError
        If there is no network, or the file is not what it should be.
    """
    if sample.is_here and sha256_of(sample.path) == sample.sha256:
        return sample.path
    require_network()
    _require_server(sample.url)
    remote = Remote(sample.url, size=sample.size_bytes, sha256=sample.sha256)
    fetch(remote, sample.path, progress=progress)
    return sample.path


def _require_server(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme in getproxies():
        return  # a proxy resolves names that this computer cannot
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_PATIENCE_S).close()
    except OSError as error:
        raise CtClipError(
            f"offline: {parts.hostname} cannot be reached; the simulated samples need no network"
        ) from error
