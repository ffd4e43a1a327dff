from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from napari_ctclip.core.anatomy_table import read_anatomy_table
from napari_ctclip.io.store.study_record import StoreSpecification
from napari_ctclip.preparation.preparation import Options, Plan, Summary, plan_preparation, prepare
from napari_ctclip.preparation.sources.archive import Source, draft_of
from tests.preparation.made_up_archive import COLUMNS, write_archive

ANATOMIES = ("aorta", "heart", "liver", "lung", "trachea")


def specification() -> StoreSpecification:
    """Return what the command makes of ``--spacing 8 8 8`` and ``--anatomy`` of each."""
    parts = dict(read_anatomy_table().only(ANATOMIES).parts)
    return StoreSpecification(spacing_mm=(8, 8, 8), anatomies=tuple(parts), parts=parts)


@dataclass(frozen=True)
class Prepared:
    folder: Path
    table: Path
    out: Path
    plan: Plan
    summary: Summary


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The made-up archive, prepared without disturbance; not to be written to."""
    folder = tmp_path_factory.mktemp("archive")
    table = write_archive(folder)
    source = Source(folder / "scans", reports=table, columns=COLUMNS)
    plan = plan_preparation(draft_of(source), Options())
    out = folder / "undisturbed"
    summary = prepare(plan, out, specification(), options=Options())
    return Prepared(folder, table, out, plan, summary)
