"""A restore's plan in the words of the approval form and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.model.canonical import parse_time
from backstop.operators.known import ago

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


def subject(plan: Mapping[str, Any], mode: str) -> str:
    """The form's headline."""
    if mode == "swap_back":
        return f"Swap {plan['target']} back to the database it had before?"
    if mode == "swap":
        return f"Replace the database of {plan['target']} by backup {plan['label']}?"
    return f"Restore backup {plan['label']} of {plan['target']} beside the live database?"


def statements(plan: Mapping[str, Any], mode: str, now: datetime) -> list[str]:
    """Markdown lines: what will happen, what will be lost, how sure we are."""
    taken = parse_time(plan["backup_finished_at"])
    proof = f"proven by a restore at {_minute(plan['proven_at'])}" if plan["proven_at"] else "**not proven**"
    live = plan["database"]
    lines = [
        "| | |",
        "|---|---|",
        f"| Backup | `{plan['label']}` from repository `{plan['repository']}`, {proof} |",
        f"| State of | {taken:%Y-%m-%d %H:%M:%S} UTC, {ago(now - taken)} ago |",
        f"| Holds | {plan['tables']:,} tables, {plan['rows']:,} rows, {plan['plain_bytes'] / 1e6:,.1f} MB |",
        f"| Restored into | `{plan['beside']}`, compared with the backup's fingerprint first |",
        *_consequences(plan, mode, live, ago(now - taken)),
    ]
    for title, key in (("Would stop the swap now", "blockers"), ("Know this", "warnings")):
        if plan[key]:
            lines += ["", f"**{title}:**", "", *(f"- {sentence}" for sentence in plan[key])]
    return lines


def _consequences(plan: Mapping[str, Any], mode: str, live: str, age: str) -> list[str]:
    if mode == "beside":
        return [f"| Live database | `{live}` stays as it is |"]
    if not plan["live_exists"]:
        return [f"| Live database | `{live}` does not exist; the restored one takes its name |"]
    return [
        f"| Then | application stopped, `{live}` renamed to `{plan['old']}` and kept, "
        f"`{plan['beside']}` renamed to `{live}`, application started |",
        f"| Given up | what was committed to `{live}` in the last {age}; it stays in `{plan['old']}` |",
    ]


def _minute(text: str) -> str:
    return f"{parse_time(text):%Y-%m-%d %H:%M} UTC"
