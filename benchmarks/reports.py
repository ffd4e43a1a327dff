"""Reports: seconds for 10,000 of them, each sentence read anew where reports are at hand."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np

from napari_ctclip.reports.corpus import decompose_all, read_report_table
from napari_ctclip.reports.lexicon import load_lexicon

_COUNT = 10_000
_REAL = Path("../shared/data/text/ct_rate_800_reports.csv")


def run() -> dict[str, str]:
    """Return the benchmark's lines."""
    kind, reports = ("real", _real()) if _REAL.is_file() else ("made up", _made_up())
    start, before = time.perf_counter(), _cpu_seconds()
    words = sum(len(r.text.split()) for r in decompose_all(reports, workers=2))
    seconds, cpu = time.perf_counter() - start, _cpu_seconds() - before
    return {
        f"decompose {_COUNT:,} {kind} reports, 2 processes": f"{seconds:.1f} s ({cpu:.0f} s CPU)",
        "  words a report": f"{words / _COUNT:.0f}",
    }


def _cpu_seconds() -> float:
    """Return the CPU time of this process and of those it waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _made_up() -> list[str]:
    """Return reports of sentences that never repeat: the slowest there can be."""
    rng = np.random.default_rng(0)
    findings = [entry.name for entry in load_lexicon().findings.values()]
    templates = (
        "There is {a} of {n} mm and no evidence of {b}.",
        "{a} and {b} were not observed within the limits of series {n}.",
        "Compared to the prior examination {a} measures {n} mm, which may represent {b}.",
    )
    return [
        " ".join(
            templates[int(rng.integers(3))].format(
                a=findings[int(rng.integers(len(findings)))],
                b=findings[int(rng.integers(len(findings)))],
                n=int(rng.integers(1, 10_000)),
            )
            for _ in range(20)
        )
        for _ in range(_COUNT)
    ]


def _real() -> list[str]:
    """Return real reports, numbered so that no copy's sentence is known from the one before."""
    rows = read_report_table(_REAL, text="report_text")
    return [
        str(rows[n % len(rows)].report).replace(". ", f" {n // len(rows)}. ") for n in range(_COUNT)
    ]
