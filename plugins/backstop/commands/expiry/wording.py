"""An expiry's plan and report in words, for a terminal, a task's log, and a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.model.canonical import parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

COLUMNS = ("LABEL", "KIND", "AGE", "PROVEN", "", "BECAUSE")


def plan_rows(plan: Mapping[str, Any], now: datetime) -> list[list[str]]:
    """One row a backup under :data:`COLUMNS`, what goes first.

    :param plan: what ``ExpiryPlan.to_dict()`` gives.
    """
    backups = sorted(plan["backups"], key=lambda one: (one["keep"], one["finished_at"]))
    return [
        [
            one["label"],
            one["kind"],
            f"{max((now - parse_time(one['finished_at'])).days, 0)} d",
            "yes" if one["proven"] else "no",
            "keep" if one["keep"] else "EXPIRES",
            "; ".join(one["reasons"]),
        ]
        for one in backups
    ]


def plan_lines(plan: Mapping[str, Any], now: datetime) -> list[str]:
    """The same as aligned lines, with :func:`plan_remarks` below."""
    return [*aligned([list(COLUMNS), *plan_rows(plan, now)]), *plan_remarks(plan)]


def plan_remarks(plan: Mapping[str, Any]) -> list[str]:
    """Sentences: how much goes, what stays although its age would let it go, what else to know."""
    shown = {one["label"] for one in plan["backups"]}
    going = [label for label in plan["expires"] if label not in shown]
    kept = plan["total"] - len(shown) - len(going)
    lines = [summary(plan)]
    if going:
        lines.append(f"{len(going):,} more expire: {', '.join(going)}")
    if kept > 0:
        lines.append(f"{kept:,} more are kept")
    if plan["wal_objects"]:
        lines.append(f"{plan['wal_objects']:,} WAL objects go, {megabytes(plan['wal_bytes'])}")
    if plan["begun"]:
        lines.append(f"an earlier run began to remove {', '.join(plan['begun'])}: that is finished first")
    lines += [f"{one['label']} is locked {one['until']}" for one in plan["locked"]]
    lines += [str(sentence) for sentence in plan["blocked"]]
    lines += [f"not to be trusted: {sentence}" for sentence in plan.get("unreadable", ())]
    return lines


def summary(plan: Mapping[str, Any]) -> str:
    """``local: 2 of 30 backups expire, 12.3 MB``."""
    count = len(plan["expires"])
    if not count and not plan["wal_objects"]:
        return f"{plan['repository']}: nothing expires, {plan['total']:,} backups are kept"
    return (
        f"{plan['repository']}: {count:,} of {plan['total']:,} backups expire, "
        f"{megabytes(plan['freed_bytes'])}"
    )


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with the columns below each other, the last one as long as it is."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def megabytes(count: int) -> str:
    """``12.3 MB``, ``1,204.0 MB``."""
    return f"{count / 1e6:,.1f} MB"
