"""Which backups to prove next. Pure: the work list is "what is unproven", not a queue of events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta, timezone
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from backstop.model.backup import BackupLabel


@dataclass(frozen=True, slots=True)
class Candidate:
    """One backup in one repository.

    :param verified: a verification of it has been recorded, whatever it found.
    :param reencrypted: it is to take the place of another backup, for which it needs a proof of its own.
    """

    label: BackupLabel
    repository: str
    finished_at: datetime
    verified: bool
    reencrypted: bool = False


def work_list(candidates: Iterable[Candidate], *, policy: str) -> list[Candidate]:
    """What to verify, newest first: the newest backup is the one a disaster would need.

    :param policy: ``each`` backup, or the newest of each ``daily`` or ``weekly`` period (UTC; weeks start
        on Monday). A period counts as done once any of its backups in that repository was verified; what is
        to take another's place is verified all the same.
    """
    newest_first = sorted(candidates, key=lambda candidate: (candidate.finished_at, candidate.repository))
    newest_first.reverse()
    if policy == "each":
        return [candidate for candidate in newest_first if not candidate.verified]
    done = {
        (candidate.repository, _period(candidate.finished_at, policy))
        for candidate in newest_first
        if candidate.verified
    }
    chosen = []
    for candidate in newest_first:
        slot = (candidate.repository, _period(candidate.finished_at, policy))
        if slot not in done or (candidate.reencrypted and not candidate.verified):
            done.add(slot)
            chosen.append(candidate)
    return chosen


def in_turn(lists: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """The first of each list, then the second of each, and so on."""
    return [one for turn in zip_longest(*lists) for one in turn if one is not None]


def _period(moment: datetime, policy: str) -> date:
    day = moment.astimezone(timezone.utc).date()
    if policy == "daily":
        return day
    if policy == "weekly":
        return day - timedelta(days=day.weekday())
    raise ValueError(f"verify.policy is each, daily or weekly, not {policy!r}")
