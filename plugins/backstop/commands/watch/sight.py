"""What the parts of a watch look at: the target, and what others have found out about it before them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence  # noqa: TC003 parts of dataclasses
from dataclasses import dataclass, field
from datetime import datetime, timedelta  # noqa: TC003 parts of dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backstop.commands.watch.part import Part
    from backstop.commands.watch.settings import WatchSettings
    from backstop.commands.watch.shelf import Shelf
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.observation import Observation
    from backstop.repository.catalog import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedTarget:
    """One target as a watch wants it: values, and what is opened already.

    :param repositories: every one that any of its backups goes to.
    :param keyring: opens histories of timelines; None: this machine has no key.
    :param before: looks that tell which repositories answer; :param others: everything about the server,
        keys and disks.
    """

    name: str
    repositories: Sequence[Repository]
    settings: WatchSettings
    keyring: Callable[[], Keyring | None] = lambda: None
    before: tuple[Look, ...] = ()
    others: tuple[Look, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a part may build on.

    :param now: when this watch began; :param rhythm: how often there is one.
    :param previous: what the one before saw; None: the first, or there is no inventory.
    :param down: repositories that do not answer, and why, in words.
    :param shelves: what those that do hold.
    """

    target: ObservedTarget
    now: datetime
    rhythm: timedelta
    previous: Observation | None = None
    down: Mapping[str, str] = field(default_factory=dict)
    shelves: Mapping[str, Shelf] = field(default_factory=dict)

    @property
    def answering(self) -> list[Repository]:
        """The repositories that there is any sense in asking."""
        return [one for one in self.target.repositories if one.name not in self.down]

    def all_answer(self, names: Sequence[str]) -> bool:
        """Whether what was not found in these is not there."""
        return all(name in self.shelves for name in names)


@dataclass(frozen=True, slots=True)
class Look:
    """One part of a watch.

    :param name: in few words, for people: ``archiving``.
    :param checks: what cannot be judged when it fails.
    """

    name: str
    checks: tuple[str, ...]
    look: Callable[[Sight], Part]
