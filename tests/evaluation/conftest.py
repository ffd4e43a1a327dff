"""The studies that evaluations are tested on."""

from __future__ import annotations

import pytest

from tests.evaluation.evaluation_studies import write_studies
from tests.evaluation.runs import BALLS, SPLITS


@pytest.fixture
def studies(tmp_path):
    return write_studies(tmp_path, BALLS, splits=SPLITS)
