"""Looks at one target: puts the parts together, and never fails for one of them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from backstop.commands.watch.canaries import look_at_canaries
from backstop.commands.watch.catalogue import look_at_catalogue, look_at_shelves, recollect
from backstop.commands.watch.deployments import look_at_deployments
from backstop.commands.watch.drills import look_at_drills
from backstop.commands.watch.evidence import look_at_evidence
from backstop.commands.watch.locks import look_at_locks
from backstop.commands.watch.loss import aged
from backstop.commands.watch.objects import look_at_objects
from backstop.commands.watch.part import EVERY, ClockSeen, Part, ScratchSeen, together
from backstop.commands.watch.reach import judge_reach, probe
from backstop.commands.watch.sight import Look, Sight
from backstop.commands.watch.tampering import look_at_versions
from backstop.commands.watch.time_limits import within
from backstop.commands.watch.windows import look_at_wal
from backstop.model.finding import CHECKS, Finding, Level, worst_of_each
from backstop.model.observation import (
    ComponentSeen,
    DrillSeen,
    KeySeen,
    Observation,
    RepositorySeen,
    WalSeen,
    WindowSeen,
    WriterSeen,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime, timedelta

    from backstop.commands.watch.sight import ObservedTarget
    from backstop.errors import BackstopError
    from backstop.repository.inventory import Inventory

PATIENCE_SECONDS = 120.0
"""A part that takes longer is given up; the others are looked at all the same."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a watch found out about one target.

    :param findings: the most serious first.
    :param unjudged: (check, subject) that could not be judged this time: what is open there stays as it is.
    """

    observation: Observation
    findings: tuple[Finding, ...]
    unjudged: frozenset[tuple[str, str]]


def observe_target(
    target: ObservedTarget,
    *,
    inventory: Inventory | None,
    clock: Callable[[], datetime],
    rhythm: timedelta,
    previous: Observation | None = None,
    thorough: bool = False,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Observed:
    """Look at everything; the inventory learns what is new in the repositories.

    :param rhythm: how often this is done: what has turns has them by it.
    :param previous: what the watch before saw, for who keeps that elsewhere than in the inventory.
    :param thorough: list all WAL, so that nothing is left to the watch before: for who looks once.
    :param patience_seconds: for each part.
    """
    now, began = clock(), time.monotonic()
    recollection, remembered, part = recollect(target, inventory)
    parts = [part]
    previous = previous or remembered
    asked = None if part.findings else inventory
    down, answers = probe(target, filled=recollection.filled)
    shelves, part = look_at_shelves(target, recollection, asked, down)
    parts += [part, Part(seen=answers), judge_reach(target, down)]
    sight = Sight(
        target=target,
        now=now,
        rhythm=rhythm,
        thorough=thorough,
        remembers=asked is not None or previous is not None,
        previous=previous,
        down=down,
        shelves=shelves,
    )
    # First: what it finds to be unreadable or damaged counts for the others.
    parts.append(_one(Look("objects", ("sync",), look_at_objects), sight, patience_seconds))
    looks = (
        Look("catalogue", _OF_THE_CATALOGUE, lambda sight: look_at_catalogue(sight, recollection)),
        Look("WAL in the repositories", ("wal-gap",), look_at_wal),
        Look("locks", ("lock",), look_at_locks),
        Look("former versions", ("tampering",), look_at_versions),
        Look("leases", ("deployment",), look_at_deployments),
        Look("evidence", ("evidence",), lambda sight: look_at_evidence(sight, asked)),
        Look("key canaries", ("key",), lambda sight: look_at_canaries(sight, asked)),
        Look("drills", ("drill",), lambda sight: look_at_drills(sight, recollection.drills)),
        *target.others,
    )
    with ThreadPoolExecutor(len(looks), thread_name_prefix="watch") as pool:
        parts += pool.map(lambda look: _one(look, sight, patience_seconds), looks)
    everything = together(parts)
    return Observed(
        observation=_observation(sight, everything, took_seconds=round(time.monotonic() - began, 3)),
        findings=most_serious_first(everything.findings),
        unjudged=everything.unjudged,
    )


_OF_THE_CATALOGUE = ("completed", "proven", "size", "sync", "rpo", "forecast")


def unobservable(target: str, error: BackstopError, *, now: datetime) -> Observed:
    """Of a target that could not even be opened: everything stays as it was, but for this."""
    finding = Finding(
        target,
        "watch",
        "targets.yaml",
        Level.CRITICAL,
        f"{target} cannot be watched: {error.message}",
        error.hint
        or "correct targets.yaml, its connections or its keys (`python -m backstop check-targets`)",
    )
    unjudged = frozenset((check, EVERY) for check in CHECKS if check != "watch")
    seen = Observation(target, now, 0.0, unseen=(f"anything of {target}: {error.message}",))
    return Observed(seen, (finding,), unjudged)


def _one(look: Look, sight: Sight, patience_seconds: float) -> Part:
    return within(
        lambda: look.look(sight),
        target=sight.target.name,
        name=look.name,
        seconds=min(patience_seconds, look.patience_seconds),
        spares=frozenset((check, EVERY) for check in look.checks),
    )


def _observation(sight: Sight, found: Part, *, took_seconds: float) -> Observation:
    previous = sight.previous
    return Observation(
        target=sight.target.name,
        observed_at=sight.now,
        took_seconds=took_seconds,
        components=_components(found.seen) or (previous.components if previous else ()),
        repositories=_repositories(sight, found.seen),
        windows=_windows(sight, found),
        wal=_wal(sight, found),
        keys=tuple(one for one in found.seen if isinstance(one, KeySeen)),
        clock_offsets={one.name: one.ahead_seconds for one in found.seen if isinstance(one, ClockSeen)},
        scratch_bytes=next((one.size_bytes for one in found.seen if isinstance(one, ScratchSeen)), None),
        unseen=tuple(dict.fromkeys(found.unseen)),
        first_observed_at=(previous.first_observed_at or previous.observed_at) if previous else sight.now,
        drill=next((one for one in found.seen if isinstance(one, DrillSeen)), None),
        writers=tuple(one for one in found.seen if isinstance(one, WriterSeen)),
    )


def _windows(sight: Sight, found: Part) -> tuple[WindowSeen, ...]:
    """Those of before where nobody could look."""
    if sight.previous is not None and ("wal-gap", EVERY) in found.unjudged:
        return sight.previous.windows
    return tuple(one for one in found.seen if isinstance(one, WindowSeen))


def _wal(sight: Sight, found: Part) -> WalSeen | None:
    """What was known before, and is older now, where nobody could look."""
    seen = next((one for one in found.seen if isinstance(one, WalSeen)), None)
    if seen is None and ("rpo", EVERY) in found.unjudged:
        return aged(sight.previous, sight.now)
    return seen


def _components(seen: Iterable[Any]) -> tuple[ComponentSeen, ...]:
    """What base backups would lose is what their WAL lacks."""
    components = [one for one in seen if isinstance(one, ComponentSeen)]
    wal = next((one for one in seen if isinstance(one, WalSeen)), None)
    losses = [loss for loss in wal.observed_rpo.values() if loss is not None] if wal else []
    return tuple(
        replace(one, loss=min(losses)) if one.kind == "base" and losses else one for one in components
    )


def _repositories(sight: Sight, seen: Iterable[Any]) -> tuple[RepositorySeen, ...]:
    """What several parts saw of each, put together; what none saw now is as it was seen last."""
    merged: dict[str, RepositorySeen] = {}
    for one in seen:
        if isinstance(one, RepositorySeen):
            known = merged.get(one.name)
            merged[one.name] = _joined(known, one) if known else one
    found = []
    for repository in sight.target.repositories:
        one = merged.get(repository.name)
        if one is None:
            continue
        before = sight.previous.repository(repository.name) if sight.previous else None
        found.append(_joined(before, one, lasting=_LASTING) if before else one)
    return tuple(found)


_LASTING = ("backups", "stored_bytes", "listed_at")


def _joined(
    known: RepositorySeen, more: RepositorySeen, *, lasting: tuple[str, ...] | None = None
) -> RepositorySeen:
    """``more``, where it says anything, else ``known``; with ``lasting``, only these come from ``known``.

    A field with its default says nothing; no ``backups``, 0, is said, for the default is None.
    """
    values: dict[str, Any] = {}
    for one in fields(RepositorySeen):
        old, new = getattr(known, one.name), getattr(more, one.name)
        if new == one.default and (lasting is None or one.name in lasting):
            values[one.name] = old
    if lasting is None and not (known.reachable and more.reachable):
        values["reachable"] = False
    return replace(more, **values)


def most_serious_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """One of each key, the worst of them; critical ones first, then by name."""
    worst = worst_of_each(findings).values()
    return tuple(sorted(worst, key=lambda one: (one.level is not Level.CRITICAL, one.key)))
