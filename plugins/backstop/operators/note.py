"""What a task says on its run: a note of a line or two, and the last lines of its log. Pure."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.commands.backup_report import COPIED_IN_WORDS
from backstop.model.figures import duration_in_words, size_in_words
from backstop.model.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backstop.model.proof import Proof

NOTE = "note"
"""Key of the XCom that becomes the note on the run (``listeners/run_note.py``)."""
NOTE_LIMIT = 1000
"""Airflow keeps no longer notes."""

_MARKUP = re.compile(r"([\\`*_~\[\]<>|#!])")


def as_text(text: str) -> str:
    """In Markdown: one line that shows what it says. Names of files and what commands write are the words of
    others, and must not look like ours.
    """
    return _MARKUP.sub(r"\\\1", printable(" ".join(text.split())))


def in_code(text: str) -> str:
    """The same in monospace; what would end that early is left out."""
    return f"`{printable(' '.join(text.replace('`', '').split()))}`"


def dump_note(report: Mapping[str, Any]) -> str:
    """Of a dump's report: Markdown."""
    held = f"{report['rows']:,} rows in {report['tables']:,} tables, {_sizes(report)}"
    return "\n".join([f"`{report['label']}`: {held}", *_where(report)])[:NOTE_LIMIT]


def base_backup_note(report: Mapping[str, Any]) -> str:
    """Of a base backup's report: Markdown."""
    upon = f" upon `{report['parent']}`" if report["parent"] else ""
    held = f"{report['files']:,} files{upon}, {COPIED_IN_WORDS[report['copied']]}, {_sizes(report)}"
    return "\n".join([f"`{report['label']}`: {held}", *_where(report)])[:NOTE_LIMIT]


def proof_note(proof: Proof, repository: str) -> str:
    """Of one verification: Markdown, one line unless it differed."""
    took = duration_in_words(timedelta(seconds=proof.durations.get("total", 0.0)))
    if proof.matched:
        counted = _counted(proof)
        return f"- `{proof.label}` in {repository} is **proven**: restored and compared in {took}{counted}"
    shown = [f"  - {as_text(sentence)}" for sentence in proof.differences[:5]]
    if len(proof.differences) > len(shown):
        shown.append("  - … (see the log of `verify`)")
    return "\n".join([f"- `{proof.label}` in {repository} is **not what was backed up**:", *shown])[
        :NOTE_LIMIT
    ]


def report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """A backup's report, one aligned line for each thing."""
    lines = [("backup", report["label"]), ("size", _sizes(report))]
    if "copied" in report:
        lines.append(("files", COPIED_IN_WORDS[report["copied"]]))
    lines += [("in", f"{name}: {state}") for name, state in report["repositories"].items()]
    lines += [("without", what) for what in report["not_included"]]
    for name, value in lines:
        yield f"{name:<8}{value}"


def _sizes(report: Mapping[str, Any]) -> str:
    plain, stored = (size_in_words(report[f"{kind}_bytes"]) for kind in ("plain", "stored"))
    return f"{plain}, stored as {stored}, in {duration_in_words(timedelta(seconds=report['seconds']))}"


def _where(report: Mapping[str, Any]) -> Iterator[str]:
    whole = [name for name, state in report["repositories"].items() if state == "completed"]
    if whole:
        yield f"in {', '.join(whole)}; not proven yet"
    for name, state in report["repositories"].items():
        if state != "completed":
            yield f"**not in {name}: {state}**"


def _counted(proof: Proof) -> str:
    counted = [f"{count:,} {name}" for name, count in proof.checks.items() if isinstance(count, int)]
    return f" ({', '.join(counted)})" if counted else ""
