"""Records: a decomposed report as plain values for JSON lines."""

from __future__ import annotations

import json
from typing import Any

from napari_ctclip.reports.structure import DecomposedReport, FindingMention, Sentence

__all__ = ["json_line", "record_of"]


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
