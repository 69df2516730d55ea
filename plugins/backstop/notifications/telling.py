"""One finding from outside a watch: entered in the inventory and told at once, or told without it."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from backstop.commands.announce import Announced
    from backstop.model.finding import Finding
    from backstop.repository.findings import Findings
    from backstop.targets import Configuration

log = logging.getLogger(__name__)

UNRECORDED = "backstop_told_without_inventory"
"""An Airflow Variable: who was told of what while the inventory did not answer, so that nobody is told every
five minutes."""


def open_findings(configuration: Configuration) -> Findings | None:
    """The inventory's; None where targets.yaml names none."""
    from backstop.hooks.credentials import AirflowCredentials
    from backstop.repository.findings import Findings
    from backstop.wiring import open_inventory

    inventory = open_inventory(configuration, AirflowCredentials())
    if inventory is None:
        return None
    inventory.migrate()
    return Findings(inventory.connection)


def tell_at_once(finding: Finding, facts: Mapping[str, object], context: Mapping[str, Any]) -> None:
    """Enter it, and tell whoever should be told now; what fails here is told by the next watch.

    Where there is no inventory, or it does not answer, the notifiers are told all the same, as rarely as
    they are reminded.

    :raises Exception: somebody could not be told.
    """
    from backstop.commands.announce import announce
    from backstop.errors import BackstopError
    from backstop.notifications.channels import channels_of
    from backstop.settings.alerts import rhythm_of
    from backstop.settings.arguments import utc_now
    from backstop.targets import load_targets

    log.error("%s", finding)
    configuration = load_targets()
    now = utc_now()
    channels = channels_of(configuration.alerts, context)
    rhythm = rhythm_of(configuration.alerts)
    try:
        findings = open_findings(configuration)
        if findings is not None:
            findings.report(finding, now=now, facts=facts)
    except BackstopError as error:
        log.warning("The inventory cannot keep this: %s", error)
        findings = None
    if findings is not None:
        require_told(announce(findings, channels, now=now, rhythm=rhythm, only=finding))
    elif not _told_of_late(finding, now, rhythm.repeat(finding.level)):
        _tell_unrecorded(finding, facts, now, channels)


def require_told(announced: Announced) -> None:
    """:raises AirflowException: somebody could not be told; names each."""
    from airflow.sdk.exceptions import AirflowException
    from airflow.sdk.log import redact

    for one in announced.told:
        log.info("told: %s", one.subject)
    if announced.failures:
        text = "; ".join(str(redact(one)) for one in announced.failures)
        raise AirflowException(f"not everybody could be told: {text}")


def _tell_unrecorded(
    finding: Finding, facts: Mapping[str, object], now: datetime, channels: list[Any]
) -> None:
    from dataclasses import replace

    from backstop.commands.announce import Announced
    from backstop.model.announcement import Announcement
    from backstop.model.finding_state import News, seen
    from backstop.model.words import what_failed

    state = replace(seen(None, finding, now), facts=facts)
    told: list[Announcement] = []
    failures: list[str] = []
    for channel in channels:
        if not channel.wants(finding):
            continue
        announcement = Announcement(News.OPENED, finding.level, (state,))
        try:
            channel.tell(announcement)
        except Exception as error:  # whatever it is: the others must be told
            failures.append(f"{channel.name}: {what_failed(error)}")
        else:
            told.append(announcement)
    require_told(Announced(tuple(told), tuple(failures)))


def _told_of_late(finding: Finding, now: datetime, repeat: timedelta) -> bool:
    """Whether somebody was told within that time; if not, remembers that somebody is now."""
    from airflow.sdk import Variable

    key = "/".join(finding.key)
    try:
        known = Variable.get(UNRECORDED, default={}, deserialize_json=True)
        at = {name: text for name, text in known.items() if abs(now - datetime.fromisoformat(text)) < repeat}
        if key in at:
            return True
        Variable.set(UNRECORDED, {**at, key: now.isoformat()}, serialize_json=True)
    except Exception as error:  # rather twice than never
        log.warning("What was told cannot be remembered: %s", error)
    return False
