"""LLM: the same decomposition from an OpenAI-compatible address the user gives; off by default."""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_ctclip.core.errors import DataError
from napari_ctclip.core.notice import Notice, Severity
from napari_ctclip.core.report import Report
from napari_ctclip.io.files import write_text
from napari_ctclip.reports.decomposition import decompose
from napari_ctclip.reports.lexicon import Lexicon, load_lexicon
from napari_ctclip.reports.structure import (
    Certainty,
    DecomposedReport,
    FindingMention,
    Section,
    Sentence,
    Status,
)

__all__ = ["LlmReader"]


class _FindingAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    certainty: Certainty


class _SentenceAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int
    anatomies: list[str]
    status: Status
    findings: list[_FindingAnswer]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sentences: list[_SentenceAnswer]


@dataclass(frozen=True)
class LlmReader:
    """Reads reports with a language model; falls back to the rules, with a notice.

    Attributes
    ----------
    url : str
        Base address of an OpenAI-compatible service, e.g. ``http://127.0.0.1:8000/v1``.
    model : str
        Name the service knows the model by.
    cache : Path
        Folder that keeps every good answer under the hash of the query.
    key : str
        Sent as bearer token if not empty; never written or logged.
    timeout_s : float
        Seconds to wait for an answer.
    lexicon : Lexicon or None
        Names the answer may use; those of the package if None.
    """

    url: str
    model: str
    cache: Path
    key: str = ""
    timeout_s: float = 120.0
    lexicon: Lexicon | None = None

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise DataError(
                f"{self.url!r} is no address of a service; expected one like http://127.0.0.1:8000/v1"
            )

    def __repr__(self) -> str:
        return f"LlmReader(url={self.url!r}, model={self.model!r})"  # the key stays out of logs

    def decompose(self, report: Report | str) -> DecomposedReport:
        """Return a report as the rules split it and the language model reads it.

        Sections, sentences, sizes, sides and comparison stay with the rules; anatomies, findings
        and status are the model's. An answer that cannot be had or used leaves the rules' reading.
        """
        ruled = decompose(report, lexicon=self._words)
        queried = [s for s in ruled.sentences if s.section in _READ]
        if not queried:
            return ruled
        try:
            answers = self._answer(queried)
        except (OSError, HTTPException, ValueError) as error:
            message = f"{self.model} gave no usable answer ({_brief(error)}); read by the rules"
            notice = Notice(Severity.WARNING, "llm-fallback", message)
            return replace(ruled, notices=(*ruled.notices, notice))
        read = dict(zip(queried, answers, strict=True))
        sentences = tuple(self._filled(s, read[s]) if s in read else s for s in ruled.sentences)
        return DecomposedReport(ruled.text, sentences)

    @property
    def _words(self) -> Lexicon:
        return load_lexicon() if self.lexicon is None else self.lexicon

    def _answer(self, queried: list[Sentence]) -> list[_SentenceAnswer]:
        numbered = "\n".join(f"{n}. {' '.join(s.text.split())}" for n, s in enumerate(queried, 1))
        instructions = _instructions(self._words)
        kept = self.cache / f"{_hash(self.model, instructions, numbered)}.json"
        if kept.is_file():
            return self._checked(kept.read_text("utf-8"), len(queried))
        said = self._ask(instructions, numbered)
        answers = self._checked(said, len(queried))  # only a good answer is kept
        write_text(kept, said)
        return answers

    def _ask(self, instructions: str, numbered: str) -> str:
        body = {
            "model": self.model,
            "temperature": 0,
            "response_format": {"type": "json_object"},
            "messages": [
                {"role": "system", "content": instructions},
                {"role": "user", "content": numbered},
            ],
        }
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        address = f"{self.url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=self.timeout_s) as response:
            answer = json.loads(response.read())
        try:
            return str(answer["choices"][0]["message"]["content"])
        except (KeyError, IndexError, TypeError):
            raise ValueError("the service's answer holds no message") from None

    def _checked(self, said: str, count: int) -> list[_SentenceAnswer]:
        answers = _Answer.model_validate_json(_without_fence(said)).sentences
        if [answer.number for answer in answers] != list(range(1, count + 1)):
            raise ValueError(f"{len(answers)} sentences answered, expected {count} in order")
        known = _anatomy_names(self._words)
        for answer in answers:
            unknown = [name for name in answer.anatomies if name not in known]
            unknown += [f.name for f in answer.findings if f.name not in self._words.findings]
            if unknown:
                raise ValueError(f"unknown name {unknown[0]!r}")
        return answers

    def _filled(self, sentence: Sentence, answer: _SentenceAnswer) -> Sentence:
        said = f"said by {self.model}"
        entries = self._words.findings
        return replace(
            sentence,
            anatomies=tuple(dict.fromkeys(answer.anatomies)),
            status=answer.status,
            findings=tuple(
                FindingMention(f.name, (entries[f.name].anatomy,), f.certainty, sentence.span, said)
                for f in answer.findings
            ),
            reasons=(said, said),
        )


_READ = (Section.FINDINGS, Section.IMPRESSION)


def _instructions(lexicon: Lexicon) -> str:
    prompt = files("napari_ctclip.reports").joinpath("llm_prompt.md").read_text("utf-8")
    prompt = prompt.replace("{anatomies}", ", ".join(_anatomy_names(lexicon)))
    return prompt.replace("{findings}", ", ".join(lexicon.findings))


def _anatomy_names(lexicon: Lexicon) -> dict[str, None]:
    sites = (name for site in lexicon.sites.values() for name in site.anatomies)
    return dict.fromkeys([*sites, *(entry.anatomy for entry in lexicon.findings.values())])


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _without_fence(said: str) -> str:
    """Return the JSON of an answer that a model put into a Markdown code block."""
    text = said.strip()
    if text.startswith("```"):
        text = text.removeprefix("```json").removeprefix("```").removesuffix("```")
    return text.strip()


def _brief(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"malformed answer: {'.'.join(map(str, first['loc']))} {first['msg']}"
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    return str(error)[:120]
