"""Real sample scans: downloaded on request only, resumed, verified; offline is told at once."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from napari_ctclip.core.errors import CtClipError
from napari_ctclip.session.sample_scans import SampleScan, download_sample, known_samples
from tests.models.small_hub import SmallHub, small_hub

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SmallHub]:
    monkeypatch.setenv("NAPARI_CTCLIP_SAMPLES", str(tmp_path / "samples"))
    for name in ("HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with small_hub() as hub:
        hub.put("lab/ct", "ct.nrrd", CONTENT)
        yield hub


@pytest.fixture
def sample(hub: SmallHub) -> SampleScan:
    return replace(
        known_samples()[0],
        url=f"{hub.address}/lab/ct/resolve/main/ct.nrrd",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size_bytes=len(CONTENT),
    )


def test_every_sample_states_its_licence_source_checksum_and_a_readable_format():
    assert len({sample.name for sample in known_samples()}) == len(known_samples()) >= 2
    for sample in known_samples():
        assert sample.licence
        assert sample.source.startswith("https://")
        assert sample.url.startswith("https://")
        assert len(sample.sha256) == 64
        assert sample.file.endswith((".nrrd", ".nii.gz"))


def test_checksums_are_those_of_the_files_at_hand(shared_data: Path):
    at_hand = {
        "chest-cip": shared_data / "cip" / "ct-64.nrrd",
        "abdomen-totalsegmentator": shared_data / "totalsegmentator" / "abdomen_ct.nii.gz",
    }
    for sample in known_samples():
        if sample.name in at_hand:
            content = at_hand[sample.name].read_bytes()
            assert hashlib.sha256(content).hexdigest() == sample.sha256
            assert len(content) == sample.size_bytes


def test_a_sample_comes_once_and_is_here_then(hub: SmallHub, sample: SampleScan):
    assert not sample.is_here
    told: list[int] = []
    path = download_sample(sample, progress=lambda name, done, total: told.append(done))
    assert path.read_bytes() == CONTENT
    assert told[-1] == len(CONTENT)
    assert sample.is_here
    asked = len(hub.asked)
    assert download_sample(sample) == path
    assert len(hub.asked) == asked


def test_a_broken_download_is_resumed(hub: SmallHub, sample: SampleScan):
    hub.breaks_after = 300_000
    with pytest.raises(CtClipError, match="resumes there"):
        download_sample(sample)
    hub.breaks_after = None
    assert download_sample(sample).read_bytes() == CONTENT
    assert hub.asked[-1][2] == "bytes=300000-"


def test_a_file_that_is_not_what_it_should_be_is_removed(hub: SmallHub, sample: SampleScan):
    with pytest.raises(CtClipError, match="not the file it should be"):
        download_sample(replace(sample, sha256="0" * 64))
    assert not sample.is_here
    assert not list(sample.path.parent.glob("*.part"))


def test_offline_is_told_at_once(sample: SampleScan, monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refuses every connection
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/ct.nrrd"
        before = time.monotonic()
        with pytest.raises(CtClipError, match=r"offline: 127\.0\.0\.1 cannot be reached"):
            download_sample(replace(sample, url=nobody))
        assert time.monotonic() - before < 4.0
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CtClipError, match="offline"):
        download_sample(sample)
