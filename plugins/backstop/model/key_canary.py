"""What opening the oldest and the newest of a repository showed, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backstop.model.finding import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterable

LATE_AFTER = timedelta(days=2)
"""It is done every night; one night may be missed."""
FORGOTTEN_AFTER = timedelta(days=4)


@dataclass(frozen=True, slots=True)
class KeyCanary:
    """One check of one repository, with the credentials and keys of who restores.

    :param opened: how many objects opened; ``closed``: how many did not.
    :param said: the first that did not, and why. :param step: what to do about it.
    """

    target: str
    repository: str
    checked_at: datetime
    opened: int
    closed: int
    said: str = ""
    step: str = ""


def canary_subject(repository: str) -> str:
    return f"opening {repository}"


def judge_canaries(newest: Iterable[KeyCanary], *, now: datetime) -> tuple[Finding, ...]:
    """Critical: something does not open, or nobody has tried for four days; a warning after two.

    :param newest: one a repository, at most; who was never checked is not judged.
    """
    return tuple(found for one in newest if (found := _judge(one, now)) is not None)


def _judge(one: KeyCanary, now: datetime) -> Finding | None:
    subject = canary_subject(one.repository)
    if one.closed:
        said = (
            f"{one.closed} of {one.opened + one.closed} objects that were tried in {one.repository} do not "
            f"open for whoever restores, such as {one.said}"
        )
        step = one.step or f"`python -m backstop check-keys --target {one.target}` names each of them"
        return Finding(one.target, "key", subject, Level.CRITICAL, said, step)
    age = now - one.checked_at
    if age <= LATE_AFTER:
        return None
    return Finding(
        one.target,
        "key",
        subject,
        Level.CRITICAL if age > FORGOTTEN_AFTER else Level.WARNING,
        f"whether what is stored in {one.repository} opens for whoever restores was last tried on "
        f"{one.checked_at:%Y-%m-%d}; it is due every night",
        f"look at the runs of check_keys__{one.target}; "
        f"`python -m backstop check-keys --target {one.target}` does the same",
    )
