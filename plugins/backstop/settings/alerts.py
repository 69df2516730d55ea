"""What targets.yaml says about telling people, as the commands want it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.finding import Level
from backstop.model.finding_state import Rhythm

if TYPE_CHECKING:
    from backstop.targets.alerts import Alerts, NotifierConfig


def rhythm_of(alerts: Alerts) -> Rhythm:
    """How patient and how talkative."""
    return Rhythm(
        warn_after=alerts.warn_after,
        close_after=alerts.close_after,
        repeat_critical=alerts.repeat.critical,
        repeat_warning=alerts.repeat.warning,
        fold_above=alerts.fold_above,
    )


def told_levels(alerts: Alerts) -> list[tuple[NotifierConfig, frozenset[Level]]]:
    """Each notifier once, with the levels it is told of, in the order of the file.

    What is critical goes to the notifiers of warnings where it has none of its own.
    """
    found: list[tuple[NotifierConfig, frozenset[Level]]] = []
    critical = alerts.critical or alerts.warning
    for notifier in [*critical, *(one for one in alerts.warning if one not in critical)]:
        levels = {Level.CRITICAL} if notifier in critical else set()
        levels |= {Level.WARNING} if notifier in alerts.warning else set()
        if notifier not in [one for one, _ in found]:
            found.append((notifier, frozenset(levels)))
    return found
