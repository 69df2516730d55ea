"""An announcement as templates of notifiers see it: ``{{ alert.subject }}``, ``{{ alert.message }}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from backstop.model.finding import EVERY_TARGET

if TYPE_CHECKING:
    from backstop.model.announcement import Announcement
    from backstop.model.finding_state import OpenFinding


def alert_of(announcement: Announcement, *, base_url: str | None) -> dict[str, Any]:
    """Plain values that ``tojson`` can write; one name, because notifiers put their own fields beside it.

    :param base_url: of Airflow's UI, for links; None: not known.
    """
    url = page_of(announcement, base_url)
    return {
        "subject": announcement.subject,
        "message": announcement.message + (f"\n{url}" if url else ""),
        "level": announcement.level.value,
        "news": announcement.news.value,
        "folded": announcement.folded,
        "url": url,
        "findings": [_finding(one) for one in announcement.states],
    }


def page_of(announcement: Announcement, base_url: str | None) -> str:
    """Where one looks next: the failed run, the target's page, or that of all targets; empty: not known."""
    if not base_url:
        return ""
    root = base_url.rstrip("/")
    runs = {str(one.facts.get("url", "")) for one in announcement.states}
    if len(runs) == 1 and (run := runs.pop()):
        return run
    targets = {one.target for one in announcement.findings}
    only = targets.pop() if len(targets) == 1 else EVERY_TARGET
    return f"{root}/backstop/" + ("" if only == EVERY_TARGET else f"targets/{quote(only)}")


def airflow_url() -> str | None:
    """Where people reach Airflow's UI, if it was told (``[api] base_url``)."""
    from airflow.sdk.configuration import conf

    return conf.get("api", "base_url", fallback=None) or None


def _finding(state: OpenFinding) -> dict[str, Any]:
    finding = state.finding
    return {
        "target": finding.target,
        "check": finding.check,
        "subject": finding.subject,
        "level": finding.level.value,
        "sentence": finding.sentence,
        "next_step": finding.next_step,
        "anchor": finding.anchor,
        "opened_at": state.opened_at.isoformat(),
        "reopenings": state.reopenings,
    }
