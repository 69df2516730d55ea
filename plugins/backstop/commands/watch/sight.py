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
    :param others: looks at the server, keys and disks.
    :param airflow: the address of the Airflow that looks, as leases name it; None: none, or it does not say.
    :param outages: storages that did not answer, by location, and why: shared by the targets of one run, so
        that each of them does not wait for the same one again.
    """

    name: str
    repositories: Sequence[Repository]
    settings: WatchSettings
    keyring: Callable[[], Keyring | None] = lambda: None
    others: tuple[Look, ...] = ()
    airflow: str | None = None
    outages: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a part may build on.

    :param now: when this watch began; :param rhythm: how often there is one.
    :param remembers: there is an inventory, which tells one watch of the one before.
    :param thorough: judge at once what else is judged within an hour.
    :param previous: what that one saw; None: there was none, or nothing remembers it.
    :param down: repositories that do not answer, and why, in words.
    :param shelves: what those that do hold.
    """

    target: ObservedTarget
    now: datetime
    rhythm: timedelta
    remembers: bool = True
    thorough: bool = False
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
    :param patience_seconds: when it is given up.
    """

    name: str
    checks: tuple[str, ...]
    look: Callable[[Sight], Part]
    patience_seconds: float = 120.0
