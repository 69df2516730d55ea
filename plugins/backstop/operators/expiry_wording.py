"""An expiry as the note on its run, and in the words of the approval form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.commands.expiry.wording import megabytes, summary
from backstop.operators.files import NOTE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NOTED = 8
_LISTED = 25


def plan_note(plans: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: how much goes where, the first labels and why, what is held up."""
    lines = []
    for plan in plans:
        lines += [f"**{summary(plan)}**", ""]
        going = [one for one in plan["backups"] if not one["keep"]]
        lines += [f"- `{one['label']}`: {'; '.join(one['reasons'])}" for one in going[:_NOTED]]
        if len(plan["expires"]) > _NOTED:
            lines.append(f"- … and {len(plan['expires']) - _NOTED} more (see the log of `plan`)")
        lines += [f"- {sentence}" for sentence in plan["blocked"]]
        lines.append("")
    return "\n".join(lines).strip()[:NOTE_LIMIT]


def report_note(reports: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: what was freed where, and what stayed although it was to go."""
    lines = []
    for report in reports:
        expired, total = report["expired"], report["expired_total"]
        lines.append(
            f"**{report['repository']}**: {total:,} backups removed, {megabytes(report['freed_bytes'])} freed"
        )
        lines += [f"- `{label}`" for label in expired[:_NOTED]]
        lines += [f"- … and {total - _NOTED} more"] if total > _NOTED else []
        lines += [f"- stays: `{one['label']}`, {one['because']}" for one in report["kept"][:_NOTED]]
        lines += [
            f"- {one['objects']} objects of {one['what']} are locked" for one in report["locked"][:_NOTED]
        ]
        lines += [f"- {sentence}" for sentence in report["waiting"][:_NOTED]]
    return "\n".join(lines)[:NOTE_LIMIT]


def expiry_subject(plan: Mapping[str, Any]) -> str:
    """The form's headline."""
    count = sum(len(one["expires"]) for one in plan["repositories"].values())
    return f"Remove {count:,} backups of {plan['target']}?"


def expiry_statements(plan: Mapping[str, Any]) -> list[str]:
    """Markdown lines: what would go from which repository, and how large a part that is."""
    lines = ["| Repository | Backups | Share | Bytes | WAL |", "|---|---|---|---|---|"]
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
