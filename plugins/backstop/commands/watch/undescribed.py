"""Backups that a repository has of targets that no file describes any more: nobody expires or watches them.

Which names stand at the top of a repository is one listing. It is asked for all targets at once, so what is
found is about no single one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from backstop.commands.watch.part import EVERY, Part, together
from backstop.commands.watch.time_limits import answers_within
from backstop.errors import BackstopError
from backstop.model.figures import size_in_words
from backstop.model.finding import CHECKS, EVERY_TARGET, Finding, Level
from backstop.repository.object_keys import about_backup
from backstop.repository.undescribed import has_backups

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from backstop.storage.base import Storage

CHECK = "undescribed"
_SECONDS = 60.0
_MOST_NAMED = 5
_MOST_FOLDERS = 100
"""In a bucket that has other things at its top, too, each is asked about once."""
_MOST_OBJECTS = 2000
_STEP = (
    "describe the target again, and its retention removes them; or, once nobody needs them, remove its "
    "folder there by hand"
)


@dataclass(frozen=True, slots=True)
class TopOf:
    """A repository, as somebody comes to it who may list what stands at its top.

    :param storage: opens it. :param described: targets that have it.
    """

    name: str
    storage: Callable[[], Storage]
    described: frozenset[str]


def look_at_undescribed(repositories: Sequence[TopOf]) -> Part:
    """One finding a repository. What may not be listed is no finding: whoever may see some targets alone is
    not to learn which others there are.
    """
    answers = answers_within({one.name: partial(_look, one) for one in repositories}, seconds=_SECONDS)
    return together(
        answers.get(one.name) or _unseen(one.name, f"it does not answer within {_SECONDS:.0f} s")
        for one in repositories
    )


def other_than_these(
    judged: Part, *, looked_at: Collection[str], every: Collection[str]
) -> frozenset[tuple[str, str]]:
    """What of :data:`EVERY_TARGET` stays as it is, for whoever looked at these repositories and nothing else.

    :param every: names of all repositories.
    """
    others = {(CHECK, _subject(name)) for name in {*every} - {*looked_at}}
    return frozenset({*judged.unjudged, *others, *((check, EVERY) for check in CHECKS if check != CHECK)})


def _look(repository: TopOf) -> Part:
    try:
        storage = repository.storage()
        strangers = [name for name in storage.folders() if name not in repository.described]
    except BackstopError as error:
        return _unseen(repository.name, error.message)
    left, closed = [], Part()
    for name in strangers[:_MOST_FOLDERS]:
        try:
            if said := _left(storage, name):
                left.append(said)
        except BackstopError as error:
            # A folder of somebody else's, perhaps; the others are told of all the same.
            closed = _unseen(repository.name, error.message)
    if not left:
        return closed
    named = ", ".join(left[:_MOST_NAMED]) + (
        f" and {len(left) - _MOST_NAMED} more" if left[_MOST_NAMED:] else ""
    )
    return replace(
        closed,
        findings=(
            Finding(
                EVERY_TARGET,
                CHECK,
                _subject(repository.name),
                Level.WARNING,
                f"repository {repository.name} keeps backups of targets that are not described to have it, "
                f"which nobody expires or watches: {named}",
                _STEP,
            ),
        ),
    )


def _left(storage: Storage, target: str) -> str:
    """What there is of it, in words; empty: no backup of ours."""
    if not has_backups(storage, target):
        return ""
    found = (about_backup(target, info.key) for info in storage.list(f"{target}/meta/manifests/"))
    labels = sorted(one.label.text for one in found if one)
    sizes = [info.size_bytes for info in islice(storage.list(f"{target}/"), _MOST_OBJECTS)]
    takes = f"{'more than ' * (len(sizes) == _MOST_OBJECTS)}{size_in_words(sum(sizes))}"
    if not labels:
        return f"{target} (WAL alone, {takes})"
    return f"{target} ({len(labels)} backup{'s' * (len(labels) > 1)}, the newest {labels[-1]}, {takes})"


def _subject(repository: str) -> str:
    return f"repository {repository}"


def _unseen(name: str, why: str) -> Part:
    return Part(
        unseen=(f"what repository {name} keeps of targets that nobody describes: {why}",),
        unjudged=frozenset({(CHECK, _subject(name))}),
    )
