"""Corpus: the decomposition of many reports, as records, and the terms the lexicon lacks."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.report import Report
from napari_ctclip.reports.decomposition import decompose
from napari_ctclip.reports.lexicon import Lexicon, load_lexicon
from napari_ctclip.reports.structure import (
    Certainty,
    DecomposedReport,
    FindingMention,
    Sentence,
    Status,
)

__all__ = [
    "ReportRow",
    "decompose_all",
    "json_line",
    "read_report_table",
    "record_of",
    "unnamed_phrases",
]

_CHUNK = 64  # reports a process takes at a time
_WORTH_A_PROCESS = 400  # a process takes half a second to start: as long as 200 reports


class ReportRow(NamedTuple):
    """One row of a table: its id, its report, and all its columns."""

    id: str
    report: Report | str
    columns: dict[str, str]


def decompose_all(
    reports: Sequence[Report | str], *, lexicon: Path | None = None, workers: int = 1
) -> Iterator[DecomposedReport]:
    """Yield the decomposition of every report, in order.

    Parameters
    ----------
    reports : sequence of Report or str
        What to take apart.
    lexicon : Path, optional
        Folder of an edited lexicon; the package's if left out.
    workers : int
        Processes; small jobs are done in this one.
    """
    job = partial(_decompose_with, folder=lexicon)
    if workers <= 1 or len(reports) < _WORTH_A_PROCESS:
        yield from map(job, reports)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(job, reports, chunksize=_CHUNK)


def _decompose_with(report: Report | str, folder: Path | None) -> DecomposedReport:
    return decompose(report, lexicon=load_lexicon(folder))


def read_report_table(
    file: Path,
    *,
    text: str = "",
    findings: str = "",
    impression: str = "",
    identifier: str = "",
) -> list[ReportRow]:
    """Return the reports of a CSV (or, by its suffix, TSV) file.

    Parameters
    ----------
    file : Path
        UTF-8 with a header line.
    text : str
        Column of the whole report; or
    findings, impression : str
        columns of its two parts.
    identifier : str
        Column of the id; the number of the row, from 1, if left out.

    Raises
    ------
    DataError
        If the file cannot be read as a table, or a column is missing; the message lists those
        there are.
    """
    if not (text or findings or impression):
        raise DataError(f"{file}: name the column of the report, or of its findings and impression")
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines, delimiter="\t" if file.suffix == ".tsv" else ",")
            _require(file, rows.fieldnames or (), (text, findings, impression, identifier))
            return [
                ReportRow(
                    (row[identifier] or str(number)) if identifier else str(number),
                    (row[text] or "")
                    if text
                    else Report(_cell(row, findings), _cell(row, impression)),
                    {key: value or "" for key, value in row.items() if key is not None},
                )
                for number, row in enumerate(rows, start=1)
            ]
    except FileNotFoundError:
        raise DataError(f"{file}: no such file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as a UTF-8 table: {error}") from error


def _cell(row: dict[str, str], column: str) -> str:
    return (row[column] or "") if column else ""


def _require(file: Path, there: Iterable[str], wanted: Iterable[str]) -> None:
    missing = [column for column in wanted if column and column not in there]
    if missing:
        raise DataError(f"{file}: no column {missing[0]!r}; it has {', '.join(there)}")


def record_of(report: DecomposedReport, identifier: str) -> dict[str, Any]:
    """Return everything read from a report: sentences, anatomies, findings, notices."""
    return {
        "id": identifier,
        "notices": [{"code": n.code, "message": n.message} for n in report.notices],
        "findings": {name: str(sure) for name, sure in report.finding_certainties.items()},
        "anatomies": {
            name: {
                "findings": text.findings,
                "impression": text.impression,
                "normal": text.normal,
                "in_impression": text.in_impression,
            }
            for name, text in report.anatomy_texts.items()
        },
        "sentences": [_sentence(sentence) for sentence in report.sentences],
    }


def json_line(report: DecomposedReport, identifier: str) -> str:
    """Return the record of a report as one line of JSON."""
    return json.dumps(record_of(report, identifier), ensure_ascii=False)


def _sentence(sentence: Sentence) -> dict[str, Any]:
    return {
        "section": str(sentence.section),
        "text": sentence.text,
        "span": list(sentence.span),
        "anatomies": list(sentence.anatomies),
        "structures": list(sentence.structures),
        "status": str(sentence.status),
        "findings": [_mention(mention) for mention in sentence.findings],
        "measurements_mm": [list(m.millimetres) for m in sentence.measurements],
        "change": str(sentence.change) if sentence.change else None,
        "reasons": list(sentence.reasons),
    }


def _mention(mention: FindingMention) -> dict[str, Any]:
    return {
        "name": mention.name,
        "anatomies": list(mention.anatomies),
        "certainty": str(mention.certainty),
        "span": list(mention.span),
        "reason": mention.reason,
    }


_LINKING = frozenset({"the", "a", "an", "of", "in", "is", "are", "was", "were", "and", "with", ","})


def unnamed_phrases(
    reports: Iterable[DecomposedReport], *, lexicon: Lexicon | None = None
) -> Counter[tuple[str, str]]:
    """Return (anatomy, phrase) -> reports, for abnormal sentences without a named finding.

    A phrase is the word that made the sentence abnormal with the word before it, folded; phrases of
    two words carry no patient's data and show what the lexicon lacks.
    """
    words = load_lexicon() if lexicon is None else lexicon
    counts: Counter[tuple[str, str]] = Counter()
    for report in reports:
        counts.update({pair for s in report.sentences for pair in _phrases(s, words)})
    return counts


def _phrases(sentence: Sentence, lexicon: Lexicon) -> list[tuple[str, str]]:
    named = any(m.certainty is not Certainty.ABSENT for m in sentence.findings)
    if named or sentence.status is not Status.ABNORMAL:
        return []
    tokens = lexicon.folding.tokens(sentence.text)
    phrases = []
    for hit in lexicon.status_matcher.find(tokens):
        if "abnormal" in hit.values:
            before = tokens[hit.first - 1].word if hit.first else ""
            start = hit.first if before in _LINKING or not before.isalpha() else hit.first - 1
            phrases.append(" ".join(token.word for token in tokens[start : hit.last + 1]))
    return [(anatomy, phrase) for anatomy in sentence.anatomies or ("",) for phrase in phrases]
