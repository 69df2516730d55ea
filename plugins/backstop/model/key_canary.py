"""What opening the oldest and the newest of a repository showed, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backstop.model.finding import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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


def judge_canaries(
    target: str, newest: Iterable[KeyCanary], *, since: Mapping[str, datetime], now: datetime
) -> tuple[Finding, ...]:
    """Critical: something does not open, or nobody has tried for four days; a warning after two.

    :param newest: one a repository, at most. Empty: nobody has begun to check, and nothing is judged.
    :param since: by repository that holds backups, when the oldest of them was made.
    """
    checked = {one.repository: one for one in newest}
    found = [_judge(one, now) for one in checked.values()]
    if checked:
        never = {name: at for name, at in since.items() if name not in checked}
        found += [_late(target, name, "was never tried", now - at) for name, at in never.items()]
    return tuple(one for one in found if one is not None)


def _judge(one: KeyCanary, now: datetime) -> Finding | None:
    if not one.closed:
        said = f"was last tried on {one.checked_at:%Y-%m-%d}"
        return _late(one.target, one.repository, said, now - one.checked_at)
    said = (
        f"{one.closed} of {one.opened + one.closed} objects that were tried in {one.repository} do not "
        f"open for whoever restores, such as {one.said}"
    )
    step = one.step or f"`python -m backstop check-keys --target {one.target}` names each of them"
    return Finding(one.target, "key", canary_subject(one.repository), Level.CRITICAL, said, step)


def _late(target: str, repository: str, said: str, age: timedelta) -> Finding | None:
    if age <= LATE_AFTER:
        return None
    return Finding(
        target,
        "key",
        canary_subject(repository),
        Level.CRITICAL if age > FORGOTTEN_AFTER else Level.WARNING,
        f"whether what is stored in {repository} opens for whoever restores {said}; it is due every night",
        f"look at the runs of check_keys__{target}; "
        f"`python -m backstop check-keys --target {target}` does the same",
    )
