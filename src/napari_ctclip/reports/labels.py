"""Labels: the findings of a report as the yes/no labels of a task."""

from __future__ import annotations

from collections.abc import Mapping

from napari_ctclip.core.errors import DataError
from napari_ctclip.reports.lexicon import Lexicon, load_lexicon
from napari_ctclip.reports.structure import Certainty, DecomposedReport

__all__ = ["findings_of_labels"]


def findings_of_labels(
    report: DecomposedReport,
    labels: str | Mapping[str, tuple[str, ...]] = "ct_rate",
    *,
    uncertain: bool = True,
    lexicon: Lexicon | None = None,
) -> dict[str, bool]:
    """Return label -> whether the report says so.

    Parameters
    ----------
    report : DecomposedReport
        A report taken apart.
    labels : str or mapping
        A set of ``label_sets.toml``, or label -> the findings that make it true; findings narrower
        than those count with them.
    uncertain : bool
        Whether a suspected finding makes a label true.
    lexicon : Lexicon, optional
        The words; those of the package if left out.

    Raises
    ------
    DataError
        If there is no such set, or it names a finding the lexicon does not hold.
    """
    words = load_lexicon() if lexicon is None else lexicon
    if isinstance(labels, str):
        if labels not in words.label_sets:
            known = ", ".join(words.label_sets)
            raise DataError(f"no label set {labels!r}; expected one of {known} (label_sets.toml)")
        labels = words.label_sets[labels]
    held = {
        name
        for name, certainty in report.finding_certainties.items()
        if certainty is Certainty.PRESENT or (uncertain and certainty is Certainty.UNCERTAIN)
    }
    wide = held | {parent for name in held for parent in words.ancestors(name)}
    for label, names in labels.items():
        missing = [name for name in names if name not in words.findings]
        if missing:
            raise DataError(f"label {label!r} names the unknown finding {missing[0]!r}")
    return {label: not wide.isdisjoint(names) for label, names in labels.items()}
