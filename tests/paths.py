"""Where the repository's own files lie, from any depth of the tests."""

from pathlib import Path

__all__ = ["DATA", "DOCS", "ROOT", "SHARED", "TRAINING"]

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
DOCS = ROOT / "docs"
TRAINING = ROOT / "training"
SHARED = ROOT.parent / "shared"  # real scans and golden numbers, where they are present
