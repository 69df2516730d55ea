"""An expiry as the note on its run, and in the words of the approval form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.commands.expiry.wording import megabytes, summary
from backstop.operators.note import NOTE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NOTED = 8
_LISTED = 25


def plan_note(plans: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: how much goes where, what is held up, and of the labels and reasons as many as fit."""
    sections = []
    for plan in plans:
        going = [one for one in plan["backups"] if not one["keep"]][:_NOTED]
        labels = [f"- `{one['label']}`: {'; '.join(one['reasons'])}" for one in going]
        if len(plan["expires"]) > len(going):
            labels.append(f"- … and {len(plan['expires']) - len(going)} more")
        needed = [f"**{summary(plan)}**", *(f"- {sentence}" for sentence in plan["blocked"])]
        sections.append((needed, labels))
    return _note(sections, see="plan")


def report_note(reports: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: what was freed where, what stayed although it was to go, and labels as many as fit."""
    sections = []
    for report in reports:
        total, freed = report["expired_total"], megabytes(report["freed_bytes"])
        needed = [f"**{report['repository']}**: {total:,} backups removed, {freed} freed"]
        needed += [f"- not to be trusted: {sentence}" for sentence in report["unreadable"][:_NOTED]]
        needed += [f"- stays: `{one['label']}`, {one['because']}" for one in report["kept"][:_NOTED]]
        needed += [
            f"- {one['objects']} objects of {one['what']} are locked" for one in report["locked"][:_NOTED]
        ]
        if renewed := report.get("renewed"):
            needed.append(f"- {len(renewed)} backups locked on")
        needed += [f"- {sentence}" for sentence in report["waiting"][:_NOTED]]
        labels = [f"- `{label}`" for label in report["expired"][:_NOTED]]
        labels += [f"- … and {total - _NOTED} more"] if total > _NOTED else []
        sections.append((needed, labels))
    return _note(sections, see="carry_out")


def _note(sections: Sequence[tuple[Sequence[str], Sequence[str]]], *, see: str) -> str:
    """One section a repository, of whole lines.

    :param sections: lines that must be there, the headline first; lines that may be left out.
    :param see: the task whose log has them all.
    """
    pointer = f"… see the log of `{see}`"
    room = NOTE_LIMIT - len(pointer) - 2 * len(sections)
    chosen: list[list[str]] = [[] for _ in sections]
    # Every headline before any reason, every reason before any label: the last repository's are not lost.
    lines = [(number, needed[0]) for number, (needed, _) in enumerate(sections)]
    lines += [(number, line) for number, (needed, _) in enumerate(sections) for line in needed[1:]]
    lines += [(number, line) for number, (_, labels) in enumerate(sections) for line in labels]
    left_out = False
    for number, line in lines:
        if len(line) + 1 > room:
            left_out = True
            continue
        room -= len(line) + 1
        chosen[number].append(line)
    return "\n\n".join(["\n".join(one) for one in chosen if one] + ([pointer] if left_out else []))


def expiry_subject(plan: Mapping[str, Any]) -> str:
    """The form's headline."""
    count = sum(len(one["expires"]) for one in plan["repositories"].values())
    return f"Remove {count:,} backups of {plan['target']}?"


def expiry_statements(plan: Mapping[str, Any]) -> list[str]:
    """Markdown lines: what would go from which repository, and how large a part that is."""
    lines = ["| Repository | Backups | Of the kind that loses most | Bytes | WAL |", "|---|---|---|---|---|"]
    for name, one in plan["repositories"].items():
        lines.append(
            f"| {name} | {len(one['expires']):,} of {one['total']:,} | {one['share_of_backups']:.0%} | "
            f"{megabytes(one['freed_bytes'])}, {one['share_of_bytes']:.0%} | {one['wal_objects']:,} objects |"
        )
    for name, one in plan["repositories"].items():
        if one["expires"]:
            lines += ["", f"**Would go from {name}:**", ""]
            lines += [f"- `{label}`" for label in one["expires"][:_LISTED]]
        if len(one["expires"]) > _LISTED:
            lines.append(f"- … and {len(one['expires']) - _LISTED} more: see the log of `plan`")
        if one["remarks"]:
            lines += ["", f"**Know this of {name}:**", "", *(f"- {sentence}" for sentence in one["remarks"])]
    if plan["accept"]:
        accepted = ", ".join(f"`{label}`" for label in plan["accept"])
        lines += ["", f"Approving says, too, that what {accepted} holds less than before is meant."]
    return lines
