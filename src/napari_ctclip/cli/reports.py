"""``napari-ctclip-train decompose | dictionary | measure-findings``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ctclip.cli import terminal
from napari_ctclip.core.errors import DataError

if TYPE_CHECKING:
    from napari_ctclip.core.report import Report
    from napari_ctclip.reports.agreement import Counts
    from napari_ctclip.reports.structure import DecomposedReport

__all__ = ["register"]

Table = Annotated[Path, typer.Argument(help="CSV (or .tsv) of reports, UTF-8.", show_default=False)]
TextColumn = Annotated[str, typer.Option("--text-column", help="Column of the whole report.")]
FindingsColumn = Annotated[str, typer.Option("--findings-column", help="Column of the findings.")]
ImpressionColumn = Annotated[
    str, typer.Option("--impression-column", help="Column of the impression.")
]
IdColumn = Annotated[
    str, typer.Option("--id-column", help="Column of the id; else the row number.")
]
LexiconFolder = Annotated[
    Path | None, typer.Option("--lexicon", help="Folder of an edited lexicon.")
]
Workers = Annotated[int, typer.Option(min=1, help="Processes.")]


def register(app: typer.Typer) -> None:
    """Add the commands about reports to an application."""
    app.command()(decompose)
    app.command()(dictionary)
    app.command("measure-findings")(measure_findings)


def decompose(
    table: Table,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    text_column: TextColumn = "",
    findings_column: FindingsColumn = "",
    impression_column: ImpressionColumn = "",
    id_column: IdColumn = "",
    lexicon: LexiconFolder = None,
    workers: Workers = 2,
    llm_url: Annotated[
        str, typer.Option(help="OpenAI-compatible address; reports are sent there.")
    ] = "",
    llm_model: Annotated[str, typer.Option(help="Name the service knows the model by.")] = "",
    llm_key_env: Annotated[
        str, typer.Option(help="Environment variable that holds the service's key.")
    ] = "",
) -> None:
    """Take reports apart: decomposed.jsonl, audit.csv and audit.html."""
    from napari_ctclip.io.files import replacing
    from napari_ctclip.reports.audit import (
        audit_rows,
        write_audit_csv,
        write_audit_html,
    )
    from napari_ctclip.reports.corpus import decompose_all, json_line, read_report_table

    rows = read_report_table(
        table,
        text=text_column,
        findings=findings_column,
        impression=impression_column,
        identifier=id_column,
    )
    texts = [row.report for row in rows]
    reports = (
        _with_llm(texts, (llm_url, llm_model, llm_key_env), out / "llm_cache", lexicon)
        if llm_url
        else decompose_all(texts, lexicon=lexicon, workers=workers)
    )
    audit, noticed = [], 0
    with (
        replacing(out / "decomposed.jsonl") as partial,
        partial.open("w", encoding="utf-8") as lines,
    ):
        for row, report in zip(rows, reports, strict=True):
            lines.write(json_line(report, row.id) + "\n")
            audit += audit_rows(report, row.id)
            noticed += bool(report.notices)
            for notice in report.notices:
                terminal.warn(f"{notice} (report {row.id})")
    write_audit_csv(audit, out / "audit.csv")
    write_audit_html(audit, out / "audit.html")
    terminal.say(
        f"{len(rows)} reports, {noticed} with a notice; {out / 'audit.html'} shows every sentence"
    )


def dictionary(
    table: Table,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    text_column: TextColumn = "",
    findings_column: FindingsColumn = "",
    impression_column: ImpressionColumn = "",
    least: Annotated[int, typer.Option(help="Reports a finding must be present in.")] = 5,
    largest: Annotated[int, typer.Option(help="Findings kept, the most frequent.")] = 512,
    lexicon: LexiconFolder = None,
    workers: Workers = 2,
) -> None:
    """Build an abnormality dictionary from reports: dictionary.toml and unnamed.csv."""
    from napari_ctclip.io.csv_tables import write_csv_table
    from napari_ctclip.reports.abnormality_dictionary import build_dictionary
    from napari_ctclip.reports.corpus import decompose_all, read_report_table, unnamed_phrases
    from napari_ctclip.reports.lexicon import load_lexicon

    rows = read_report_table(
        table, text=text_column, findings=findings_column, impression=impression_column
    )
    words = load_lexicon(lexicon)
    texts = [row.report for row in rows]
    reports = list(decompose_all(texts, lexicon=lexicon, workers=workers))
    built = build_dictionary(reports, least=least, largest=largest, lexicon=words)
    built.save(out / "dictionary.toml")
    counts = unnamed_phrases(reports, lexicon=words).most_common()
    unnamed = ((*pair, n) for pair, n in counts if n >= least)
    write_csv_table(out / "unnamed.csv", ("anatomy", "phrase", "reports"), unnamed)
    terminal.say(
        f"{len(built.entries)} findings in {out / 'dictionary.toml'}; words the lexicon may lack "
        f"are in {out / 'unnamed.csv'}"
    )


def measure_findings(
    labels: Annotated[Path, typer.Option(help="CSV with a report and 0/1 labels a row.")],
    organ_sentences: Annotated[
        Path | None, typer.Option(help="JSON: scan -> organ -> text, as fVLM writes it.")
    ] = None,
    text_column: TextColumn = "report_text",
    id_column: IdColumn = "AccessionNo",
    label_set: Annotated[str, typer.Option(help="A set of label_sets.toml.")] = "ct_rate",
    held_out: Annotated[
        bool, typer.Option(help="Show the half that rules are not tuned on.")
    ] = True,
    workers: Workers = 2,
) -> None:
    """Measure the rules against labels set by people, and against fVLM's sentences by organ."""
    from napari_ctclip.reports import agreement

    halves = agreement.agreement_with_labels(
        labels, text=text_column, identifier=id_column, label_set=label_set, workers=workers
    )
    for half, counts in halves.items():
        if half == "tuning" or held_out:
            _print_counts(f"{half} half", counts)
    if organ_sentences is not None:
        _print_counts(
            "sentence to organ", agreement.agreement_with_organ_sentences(organ_sentences)
        )
        for organ, same in agreement.normal_agreement(organ_sentences).items():
            reasons = ", ".join(f"{name} {n}" for name, n in same.reasons.items())
            terminal.say(
                f"normal, {organ}: both {same.both_normal}, neither {same.both_abnormal}, "
                f"only ours {same.only_ours}, only theirs {same.only_theirs} ({reasons})"
            )


def _with_llm(
    texts: Sequence[Report | str],
    service: tuple[str, str, str],
    cache: Path,
    lexicon: Path | None,
) -> Iterator[DecomposedReport]:
    """Yield what a language model reads; a line says where the reports go."""
    from napari_ctclip.reports.lexicon import load_lexicon
    from napari_ctclip.reports.llm import LlmReader

    url, model, key_env = service
    if not model:
        raise DataError("--llm-url needs --llm-model: the name the service knows the model by")
    if key_env and key_env not in os.environ:
        raise DataError(f"the environment variable {key_env} (--llm-key-env) is not set")
    terminal.warn(f"reports are sent to {url}; answers are kept in {cache}")
    key = os.environ.get(key_env, "")
    reader = LlmReader(url, model, cache, key=key, lexicon=load_lexicon(lexicon))
    return map(reader.decompose, texts)


def _print_counts(title: str, counts: Mapping[str, Counts]) -> None:
    from napari_ctclip.reports.agreement import macro_f1, micro_f1

    terminal.say(f"{title:36s}   n   hit extra missed  precision recall    F1")
    for label, c in counts.items():
        terminal.say(
            f"{label:36s} {c.hit + c.missed:4d} {c.hit:4d} {c.extra:5d} {c.missed:6d} "
            f"{c.precision:10.3f} {c.recall:6.3f} {c.f1:6.3f}"
        )
    values = list(counts.values())
    terminal.say(f"micro-F1 {micro_f1(values):.3f}, macro-F1 {macro_f1(values):.3f}\n")
