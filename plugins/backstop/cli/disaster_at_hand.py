"""Which incident is meant, and whether what was chosen for it still counts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.errors import ConfigurationError, NotFoundError, RestoreError
from backstop.model.canonical import format_time, parse_time
from backstop.model.words import one_line
from backstop.settings.arguments import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backstop.commands.disaster.engine import Disaster
    from backstop.settings.disaster import Disasters

STARTED_HERE = "recovery was started at the command line"
FORGOTTEN = timedelta(days=1)
"""An incident about which nothing was done for so long is not taken up, and no plan that old is carried out,
unless somebody says so."""


def at_hand(disasters: Disasters, incident_id: str | None) -> Disaster:
    """The open one; one that somebody forgot to close must not lend its clock and plan to another disaster.

    :raises ConfigurationError: nobody has done anything about it for a day, and it was not named.
    """
    disaster = disasters.open(incident_id)
    newest = max(event.at for event in disaster.events())
    if incident_id is None and utc_now() - newest > FORGOTTEN:
        raise ConfigurationError(
            f"{disaster.incident_id} ({one_line(disaster.state().what)}) is still open, and nothing was done "
            f"about it since {format_time(newest)}",
            hint=f"another disaster: close it, `--incident {disaster.incident_id} --close 'forgotten'`, and "
            f"begin again; still the same: add --incident {disaster.incident_id}",
        )
    return disaster


def refuse_stale_plan(disaster: Disaster) -> None:
    """:raises RestoreError: what is chosen follows from how things looked more than a day ago."""
    if not disaster.assessment:
        return
    assessed_at = parse_time(disaster.assessment["assessed_at"])
    if utc_now() - assessed_at > FORGOTTEN:
        raise RestoreError(
            f"what is chosen for {disaster.incident_id} was assessed at {format_time(assessed_at)}; "
            "nothing was touched",
            hint=f"look again, `--incident {disaster.incident_id} --options`, then "
            f"`--incident {disaster.incident_id} --choose`; what is back already stays back",
        )


def recommended(assessment: Mapping[str, Any]) -> str:
    """The option to take.

    :raises NotFoundError: nothing is seen to be lost, or nothing leads back.
    """
    if assessment["recommended"] is None:
        if not assessment["options"]:
            raise NotFoundError(
                f"no repository of {assessment['target']} leads anywhere back",
                hint="see what is said of the repositories; legacy backups: `list-legacy`",
            )
        unknown = [one["component"] for one in assessment["components"] if one["state"] == "unknown"]
        unseen = f"; it cannot be told of {', '.join(unknown)}" if unknown else ""
        raise NotFoundError(
            f"nothing is damaged, as far as can be seen, and nobody said what is lost{unseen}",
            hint="see `--options`; say what is lost: `--options --component database` (or tree:<name>; "
            "--before TIME for a mistake), then `--choose`; nothing is: `--close`",
        )
    return str(assessment["recommended"])


def forget(disaster: Disaster) -> None:
    """One that was declared for nothing but this, in this very call, is not left open for the next one."""
    state = disaster.state()
    if state.what == STARTED_HERE and not state.named and state.step("assess").tries == 1:
        disaster.close(outcome="nothing was recovered: nothing was seen to be lost, or nothing leads back")
