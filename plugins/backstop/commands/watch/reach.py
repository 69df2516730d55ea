"""Which repositories answer. One that does not is one finding, and nothing else is said about it."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from backstop.commands.watch.part import Part
from backstop.commands.watch.time_limits import answers_within
from backstop.errors import BackstopError
from backstop.model.finding import Finding, Level
from backstop.model.observation import RepositorySeen
from backstop.repository.catalog import REPOSITORY_KEY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from backstop.commands.watch.sight import ObservedTarget
    from backstop.repository.catalog import Repository

ANSWER_SECONDS = 30.0
"""A share whose server has gone holds whoever asks it for ever; S3 is given up before."""


def probe(
    target: ObservedTarget, *, filled: Collection[str] = ()
) -> tuple[dict[str, str], tuple[RepositorySeen, ...]]:
    """Those that do not answer, and why; and how long each of the others took.

    :param filled: names of those that are known to hold backups: when such a one has no repository.json, its
        disk is not mounted or its bucket was emptied, and that is all there is to say.
    """

    def ask(repository: Repository) -> float | str:
        return target.outages.get(repository.location) or _ask(repository, repository.name in filled)

    answered = answers_within(
        {one.name: partial(ask, one) for one in target.repositories}, seconds=ANSWER_SECONDS
    )
    silent = f"it does not answer within {ANSWER_SECONDS:.0f} s"
    answers = [answered.get(one.name, silent) for one in target.repositories]
    for repository, answer in zip(target.repositories, answers, strict=True):
        if isinstance(answer, str):
            target.outages[repository.location] = answer
    down = {
        one.name: answer
        for one, answer in zip(target.repositories, answers, strict=True)
        if isinstance(answer, str)
    }
    seen = tuple(
        RepositorySeen(name=one.name, location=one.location, reachable=True, answer_seconds=answer)
        for one, answer in zip(target.repositories, answers, strict=True)
        if not isinstance(answer, str)
    )
    return down, seen


def _ask(repository: Repository, filled: bool) -> float | str:
    began = time.monotonic()
    try:
        # Nothing is written: a full or read-only disk can still be read, and is another finding.
        described = repository.storage.stat(REPOSITORY_KEY)
    except BackstopError as error:
        return str(error)
    if described is None and filled:
        return f"{repository.location} held backups, and has no {REPOSITORY_KEY} any more"
    return round(time.monotonic() - began, 4)


def judge_reach(target: ObservedTarget, down: Mapping[str, str]) -> Part:
    """Warning while another repository of the target answers; critical when none does."""
    level = Level.CRITICAL if len(down) == len(target.repositories) else Level.WARNING
    here = {one.name: one for one in target.repositories}
    return Part(
        seen=tuple(
            RepositorySeen(name=name, location=here[name].location, reachable=False, problem=why)
            for name, why in down.items()
        ),
        findings=tuple(
            Finding(
                target.name,
                "repository",
                f"repository {name}",
                level,
                f"repository {name} cannot be read: {why}",
                "see whether its server, disk, network and credentials are in order; "
                + (
                    "nothing can be restored until then"
                    if level is Level.CRITICAL
                    else "the next sync fills it once it answers"
                ),
            )
            for name, why in down.items()
        ),
    )
