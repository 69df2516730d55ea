"""Each repository as a backup would find it: is it one, does it take what is written, is there room?"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from backstop.commands.watch.clocks import judge_clock, offset
from backstop.commands.watch.part import ClockSeen, Part
from backstop.commands.watch.space import Space, judge_space
from backstop.commands.watch.time_limits import answers_within
from backstop.errors import BackstopError, NotFoundError, StorageFullError, StorageUnavailableError
from backstop.model.finding import Finding, Level
from backstop.model.observation import RepositorySeen
from backstop.repository.catalog import REPOSITORY_KEY
from backstop.storage.posix import PosixStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from backstop.repository.catalog import Repository

_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class _Looked:
    seen: RepositorySeen
    clock: ClockSeen | None = None
    error: BackstopError | None = None
    space: Space | None = None
    works: bool = False


def look_at_repositories(
    *,
    target: str,
    repositories: Sequence[Repository],
    next_backup_bytes: Mapping[str, int],
    free_space: float,
    clock_skew: timedelta,
    clock: Callable[[], datetime],
    down: Collection[str] = (),
    unprobed: Collection[str] = (),
    empty_is_new: bool = False,
) -> Part:
    """Ask each for its own description, for the time, and to take a few bytes that do not stay
    (:meth:`~backstop.storage.base.Storage.probe`), all at once.

    A repository that fails while another one works is a warning: backups are completed there, and topped up
    later. When none works, no backup can be made: critical. A full disk is told once, as want of space.

    :param next_backup_bytes: by repository, what the next backup there is expected to take.
    :param down: those that are known not to answer; not among ``repositories``.
    :param unprobed: those that are come to with credentials that may not write: whether they take what is
        written stays unknown, and a backup that does not get there is late.
    :param empty_is_new: whoever asks would know if anything had ever been backed up to one that is empty: its
        first backup makes it a repository, and until then nothing is wrong with it.
    :param free_space: and :param clock_skew: as ``watch`` in targets.yaml says.
    """
    unjudged = {(check, f"repository {name}") for name in down for check in ("space", "clock")}
    if not repositories:
        return Part(unjudged=frozenset(unjudged))
    answered = answers_within(
        {
            one.name: partial(
                _look, one, target, clock, empty_is_new=empty_is_new, probed=one.name not in unprobed
            )
            for one in repositories
        },
        seconds=_SECONDS,
    )
    looked = [answered.get(one.name) or _silent(one) for one in repositories]
    works = any(one.works for one in looked)
    findings: list[Finding] = []
    for one in looked:
        subject = f"repository {one.seen.name}"
        full = isinstance(one.error, StorageFullError)
        if one.error is not None and not (full and one.space is not None):
            level = Level.WARNING if works else Level.CRITICAL
            said = f"{subject}: {one.seen.problem}"
            findings.append(Finding(target, "repository", subject, level, said, one.error.hint))
        if one.space is not None:
            findings += judge_space(
                replace(one.space, free_bytes=0) if full else one.space,
                target=target,
                subject=subject,
                where=one.seen.location,
                free_space=free_space,
                next_bytes=next_backup_bytes.get(one.seen.name, 0),
            )
        elif one.error is not None:
            unjudged.add(("space", subject))
        if one.clock is not None:
            findings += judge_clock(one.clock, target=target, clock_skew=clock_skew)
        else:
            unjudged.add(("clock", subject))
    return Part(
        seen=(*(one.seen for one in looked), *(one.clock for one in looked if one.clock)),
        findings=tuple(findings),
        unjudged=frozenset(unjudged),
    )


def _look(
    repository: Repository, target: str, clock: Callable[[], datetime], *, empty_is_new: bool, probed: bool
) -> _Looked:
    storage = repository.storage
    seen = RepositorySeen(repository.name, storage.location, reachable=False)
    began = time.monotonic()
    try:
        described = storage.stat(REPOSITORY_KEY)
        seen = replace(seen, reachable=True, answer_seconds=time.monotonic() - began)
        if described is None and empty_is_new:
            return _Looked(seen)
        if described is None:
            raise NotFoundError(
                f"{storage.location} is no repository: it has no {REPOSITORY_KEY}",
                hint="mount its disk, or correct it in targets.yaml; the first backup makes a new one",
            )
    except BackstopError as error:
        return _Looked(replace(seen, writable=False, problem=error.message), error=error)
    space = _space(storage.root) if isinstance(storage, PosixStorage) else None
    if space is not None:
        seen = replace(seen, free_bytes=space.free_bytes, total_bytes=space.total_bytes)
    told: ClockSeen | None = None
    try:
        before = clock()
        now = storage.check()
        if now is not None:
            told = ClockSeen(f"repository {repository.name}", offset(now, before=before, after=clock()))
        if probed:
            storage.probe(f"{target}/data/probe")
    except BackstopError as error:
        return _Looked(replace(seen, writable=False, problem=error.message), told, error, space)
    return _Looked(replace(seen, writable=True if probed else None), told, space=space, works=True)


def _silent(repository: Repository) -> _Looked:
    """A disk that hangs, most likely: S3 is given up before."""
    error = StorageUnavailableError(
        f"{repository.storage.location} takes more than {_SECONDS:.0f} s to write a few bytes",
        hint="see whether its server and network are in order",
    )
    seen = RepositorySeen(repository.name, repository.storage.location, reachable=True, writable=False)
    return _Looked(replace(seen, problem=error.message), error=error)


def _space(root: Path) -> Space | None:
    try:
        return Space.at(root)
    except OSError:
        return None  # what is written next says why
