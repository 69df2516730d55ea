"""Buttons on a task's page: the target, what was stored, and what has proven it.

Airflow asks for them when the task has run and keeps them with it. An empty one is a button that does
nothing yet: the task failed before it had a label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator


class RecoverabilityLink(BaseOperatorLink):  # type: ignore[misc]
    """What of the task's target could be restored now."""

    name = "Recoverability"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        return page_of(operator.target)


class ManifestLink(BaseOperatorLink):  # type: ignore[misc]
    """What the backup holds that the task has made or restored, and where it is."""

    name = "Manifest"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        return page_of(operator.target, operator.backup_label, "manifest")


class ProofLink(BaseOperatorLink):  # type: ignore[misc]
    """The restores of that backup that matched, or did not."""

    name = "Proof"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        return page_of(operator.target, operator.backup_label, "proofs")


class DrillLink(BaseOperatorLink):  # type: ignore[misc]
    """The report of the drill: what came back, how fast, and what the checklist found."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        return drill_page(operator.target, operator.drill_id)


LINKS = (RecoverabilityLink(), ManifestLink(), ProofLink())

DRILL_LINKS = (RecoverabilityLink(), DrillLink())


def drill_page(target: str, drill_id: str | None) -> str:
    """Of one drill; empty while it has no id."""
    return f"{page_of(target)}/drills/{quote(drill_id, safe='')}" if drill_id else ""


def page_of(target: str, *backup: str | None) -> str:
    """Of a target, or of a part of one of its backups. :param backup: its label and the part's anchor."""
    from airflow.sdk.configuration import conf

    # Airflow may be served below a path, and a worker need not know where at all.
    airflow = conf.get("api", "base_url", fallback="").rstrip("/")
    page = f"{airflow}/backstop/targets/{quote(target, safe='')}"
    if not backup:
        return page
    label, anchor = backup
    return f"{page}/backups/{quote(label, safe='')}#{anchor}" if label else ""
