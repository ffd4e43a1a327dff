"""Drive the window through the tour and keep its pictures: ``python -m scripts.pictures``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from scripts.pictures.scans import Scan

_KINDS = ("file", "series")


def main() -> int:
    """Take every picture; return 1 if something does not fit its window."""
    with TemporaryDirectory() as scratch:
        # napari reads these when it is imported: only after them may anything of it be
        os.environ["NAPARI_CONFIG"] = f"{scratch}/napari.yaml"  # the user's own stay as they are
        os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = scratch
        return _take_all(Path(scratch))


def _take_all(scratch: Path) -> int:
    from scripts.pictures.scans import scans
    from scripts.pictures.tour import STEPS

    names = [step.__name__ for step in STEPS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/pictures"))
    parser.add_argument("--only", choices=_KINDS, help="one of the two scans")
    parser.add_argument("--until", choices=names, default=names[-1], help="the last step")
    options = parser.parse_args()
    console = Console(highlight=False)
    faults: list[str] = []
    for kind, scan in zip(_KINDS, scans(scratch), strict=True):
        if options.only in (None, kind):
            steps = names[: names.index(options.until) + 1]
            faults += _tour(scan, options.out, scratch / kind, steps, console)
    for fault in faults:
        console.print(fault, style="red")
    return 1 if faults else 0


def _tour(scan: Scan, out: Path, scratch: Path, steps: list[str], console: Console) -> list[str]:
    import napari

    from napari_ctclip.encoding.feature_cache import FeatureCache
    from napari_ctclip.plugin.shell.launch import dock
    from scripts.pictures.album import Album
    from scripts.pictures.hand import Hand
    from scripts.pictures.tour import STEPS

    viewer = napari.Viewer(title="CT-CLIP", show=False)
    widget = dock(viewer)
    widget.workbench.session.cache = FeatureCache(scratch / "cache")
    widget.workbench.prompts.model_name = "starter"
    viewer.window.show()
    hand = Hand(viewer, widget)
    album = Album(hand, out, scan.name, scratch=scratch)
    for step in STEPS:
        if step.__name__ in steps:
            started = time.monotonic()
            step(hand, album, scan)
            console.print(f"{scan.name}: {step.__name__} {time.monotonic() - started:.1f} s")
    widget.workbench.studies.let_go()
    viewer.close()
    return album.misfits


if __name__ == "__main__":
    sys.exit(main())
