"""A restore's plan in the words of the approval form and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.model.canonical import parse_time
from backstop.model.figures import in_short, moment_in_words

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


def statements(plan: Mapping[str, Any], mode: str, now: datetime, *, stops_application: bool) -> list[str]:
    """Markdown lines: what will happen, what will be lost, how sure we are.

    :param stops_application: whether targets.yaml says how to stop the application.
    """
    rows = _swap_back_rows(plan) if mode == "swap_back" else _restore_rows(plan, mode, now)
    if mode == "swap_back" or (mode == "swap" and plan["live_exists"]):
        how = "stopped for the swap, then started and probed" if stops_application else "not stopped by us"
        rows.append(("Application", f"{how}; every connection to the database is ended"))
    lines = ["| | |", "|---|---|", *(f"| {what} | {sentence} |" for what, sentence in rows)]
    for title, key in (("Would stop the swap now", "blockers"), ("Know this", "warnings")):
        if plan.get(key):
            lines += ["", f"**{title}:**", "", *(f"- {sentence}" for sentence in plan[key])]
    return lines


def _restore_rows(plan: Mapping[str, Any], mode: str, now: datetime) -> list[tuple[str, str]]:
    taken = parse_time(plan["snapshot_at"])
    proof = f"proven by a restore at {_minute(plan['proven_at'])}" if plan["proven_at"] else "**not proven**"
    return [
        ("Backup", f"`{plan['label']}` in repository `{plan['repository']}`, {proof}"),
        ("State of", f"{taken:%Y-%m-%d %H:%M:%S} UTC, {in_short(now - taken)} ago"),
        ("Holds", f"{plan['tables']:,} tables, {plan['rows']:,} rows, {plan['plain_bytes'] / 1e6:,.1f} MB"),
        ("Restored into", f"`{plan['beside']}`, and compared with the backup's fingerprint there"),
        *_consequences(plan, mode, age=in_short(now - taken)),
    ]


def _consequences(plan: Mapping[str, Any], mode: str, *, age: str) -> list[tuple[str, str]]:
    live = plan["database"]
    if mode == "beside":
        return [("Live database", f"`{live}` stays as it is")]
    if not plan["live_exists"]:
        return [("Live database", f"there is no `{live}`; the restored one takes its name")]
    return [
        ("Live database", f"`{live}` is kept as `{plan['old']}`; the restored one takes its name"),
        ("Given up", f"what was committed in the last {age}; it stays in the database that is kept"),
    ]


def _swap_back_rows(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Goes back to", f"`{plan['beside']}`, as it was when it was put aside"),
        ("Live database", f"`{plan['database']}` is kept as `{plan['old']}`"),
        ("Given up", "what was committed since the swap; it stays in the database that is kept"),
    ]


def _minute(text: str) -> str:
    return moment_in_words(parse_time(text))


def recovery_statements(plan: Mapping[str, Any]) -> list[str]:
    """Markdown lines: to which point, from what, in whose place."""
    rows = [
        ("Point", f"`{plan['point']}` on timeline {plan['timeline']}"),
        ("From", f"base backup `{' + '.join(plan['chain'])}` in repository `{plan['repository']}`"),
        ("WAL", f"{plan['segments']} whole segments and what is stored behind them, up to {plan['end_lsn']}"),
        ("Recovered into", f"`{plan['destination']}`, and validated there"),
    ]
    if plan.get("replaces"):
        rows += [
            (
                "Live cluster",
                f"stopped; `{plan['replaces']}` is kept beside, the recovered one takes its place",
            ),
            ("Given up", "whatever was committed after that point; it stays in the directory that is kept"),
            ("Afterwards", "the cluster is unprotected until a new full base backup has been taken"),
        ]
    lines = ["| | |", "|---|---|", *(f"| {what} | {sentence} |" for what, sentence in rows)]
    for title, key in (("Why so", "why"), ("Know this", "warnings")):
        if plan.get(key):
            lines += ["", f"**{title}:**", "", *(f"- {sentence}" for sentence in plan[key])]
    return lines


def files_statements(plan: Mapping[str, Any], now: datetime) -> list[str]:
    """Markdown lines: which files from when, what becomes of the live ones."""
    if plan["mode"] == "swap_back":
        rows = [
            (
                "Goes back to",
                f"{plan['names']:,} former files and folders, put aside at {plan['swapped_at']}",
            ),
            ("Live files", "what was restored then is kept in its turn, under a new name"),
            ("Given up", "what was changed in them since; it stays in what is kept"),
        ]
        return _table(rows, plan, (("Where they are", "kept"),))
    taken = parse_time(plan["snapshot_at"])
    proof = f"proven by a restore at {_minute(plan['proven_at'])}" if plan["proven_at"] else "**not proven**"
    only = ", ".join(f"`{path}`" for path in plan["only"]) or "everything"
    rows = [
        ("Backup", f"`{plan['label']}` in repository `{plan['repository']}`, {proof}"),
        ("State of", f"{taken:%Y-%m-%d %H:%M:%S} UTC, {in_short(now - taken)} ago"),
        ("Restored", f"{only}: {plan['files']:,} files, {_sized(plan['plain_bytes'])}"),
        ("Would", f"add {plan['adds']:,}, change {plan['changes']:,}, delete {plan['deletes']:,}"),
        ("In", ", ".join(f"`{place}`" for place in plan["places"])),
        ("Live files", "kept beside, as `….before-<time>`; the restored ones take their names"),
        ("Given up", f"what was changed in the last {in_short(now - taken)}; it stays in what is kept"),
    ]
    return _table(rows, plan, (("Among them", "samples"), ("Know this", "warnings")))


def _sized(count: int) -> str:
    """A tree of configuration is small: no megabytes would look like nothing."""
    return f"{count / 1e6:,.1f} MB" if count >= 1_000_000 else f"{count / 1e3:,.1f} kB"


def _table(
    rows: list[tuple[str, str]], plan: Mapping[str, Any], lists: tuple[tuple[str, str], ...]
) -> list[str]:
    lines = ["| | |", "|---|---|", *(f"| {what} | {sentence} |" for what, sentence in rows)]
    for title, key in lists:
        if plan.get(key):
            lines += ["", f"**{title}:**", "", *(f"- {sentence}" for sentence in plan[key][:_LISTED])]
            if len(plan[key]) > _LISTED:
                lines.append(f"- … and {len(plan[key]) - _LISTED} more")
    return lines


_LISTED = 25
