"""Which disaster is rehearsed next, when it is another one each time. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.scenario import Loss, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime


def scenarios_of(
    *, database: bool, trees: Sequence[str], repositories: Sequence[str]
) -> tuple[Scenario, ...]:
    """Whatever a target can lose, what teaches the most first.

    :param repositories: all that any of its components is kept in; the only one cannot be done without.
    """
    whole = [Scenario(Loss.ALL)]
    without = [Scenario(Loss.REPOSITORY, name) for name in repositories] if len(repositories) > 1 else []
    rest = [Scenario(Loss.RANSOMWARE), Scenario(Loss.AIRFLOW)]
    parts = [Scenario(Loss.DATABASE)] if database else []
    return (*whole, *without, *rest, *parts, *(Scenario(Loss.TREE, tree) for tree in trees))


def in_turn(possible: Iterable[Scenario], drilled: Iterable[tuple[str, datetime]]) -> tuple[Scenario, ...]:
    """All of them, what was not drilled for the longest time first: those that never were in their own order.

    :param drilled: scenarios, as :class:`Scenario` writes them, and when; in any order. What is not possible
        any more is passed over.
    """
    newest: dict[str, datetime] = {}
    for name, at in drilled:
        newest[name] = max(at, newest.get(name, at))
    every = tuple(possible)
    never = [one for one in every if str(one) not in newest]
    before = [one for one in every if str(one) in newest]
    return (*never, *sorted(before, key=lambda one: newest[str(one)]))
