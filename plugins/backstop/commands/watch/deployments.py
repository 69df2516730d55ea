"""Another Airflow that writes under the same target name, mostly by mistake: leases say whose they were."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.watch.part import EVERY, Part
from backstop.errors import StorageError
from backstop.model.figures import moment_in_words
from backstop.model.finding import Finding, Level
from backstop.model.holder import airflow_of
from backstop.model.observation import WriterSeen
from backstop.repository.lease_history import leases_since
from backstop.repository.spent_claims import SPENT_FOR

if TYPE_CHECKING:
    from backstop.commands.watch.sight import Sight
    from backstop.model.observation import Observation
    from backstop.repository.catalog import Repository

CHECK = "deployment"
_CLOCKS_DIFFER = timedelta(minutes=10)


def look_at_deployments(sight: Sight) -> Part:
    """One finding for each other Airflow that took a lease within a day.

    Each watch reads the leases since the one before, and remembers whom it saw. The command line is nobody's
    in particular, and hosts of one Airflow share its address: neither is another deployment.
    """
    if sight.target.airflow is None:
        return Part(unjudged=frozenset({(CHECK, EVERY)}))
    seen: dict[tuple[str, str], WriterSeen] = {}
    unseen: list[str] = []
    names = {repository.name for repository in sight.target.repositories}
    for one in sight.previous.writers if sight.previous else ():
        lately = one.took_at > sight.now - SPENT_FOR
        if lately and one.airflow != sight.target.airflow and one.repository in names:
            seen[one.repository, one.airflow] = one
    for repository in sight.answering:
        try:
            for one in _writers(sight, repository):
                known = seen.get((one.repository, one.airflow))
                if known is None or known.took_at < one.took_at:
                    seen[one.repository, one.airflow] = one
        except StorageError as error:
            unseen.append(f"{_leases_in(repository.name)}{error.message}")
    return Part(
        seen=tuple(seen.values()),
        findings=tuple(_finding(sight, one) for one in seen.values()),
        unseen=tuple(unseen),
        unjudged=frozenset({(CHECK, EVERY)} if sight.down or unseen else ()),
    )


def _writers(sight: Sight, repository: Repository) -> list[WriterSeen]:
    since = sight.now - SPENT_FOR
    if sight.previous is not None and _saw_leases(sight.previous, repository.name):
        since = max(since, sight.previous.observed_at - _CLOCKS_DIFFER)
    found = []
    for lease in leases_since(repository.storage, sight.target.name, since):
        airflow = airflow_of(lease.claim.holder)
        if airflow not in (None, sight.target.airflow):
            found.append(WriterSeen(repository.name, airflow, str(lease.claim), lease.since))
    return found


def _saw_leases(previous: Observation, repository: str) -> bool:
    """Else those that were taken before an outage would be nobody's to read."""
    seen = previous.repository(repository)
    unread = any(words.startswith(_leases_in(repository)) for words in previous.unseen)
    return seen is not None and seen.reachable and not unread


def _leases_in(repository: str) -> str:
    return f"leases in {repository}: "


def _finding(sight: Sight, one: WriterSeen) -> Finding:
    return Finding(
        sight.target.name,
        CHECK,
        f"{one.airflow} in {one.repository}",
        Level.WARNING,
        f"another deployment writes or expires backups of {sight.target.name} in {one.repository}: at "
        f"{moment_in_words(one.took_at)} a lease was taken by {one.holder}",
        "give one of the two a repository, or a target name, of its own (docs/upgrading.md); should that be "
        "this one under another address, set [api] base_url alike on all its hosts",
    )
