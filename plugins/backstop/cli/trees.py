"""One of the target's file trees on the command line: its name, its backups, who can read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.output import say
from backstop.cli.session import LATEST, LATEST_PROVEN, Session
from backstop.errors import BackstopError, ConfigurationError, NotFoundError
from backstop.settings.arguments import parse_label
from backstop.wiring import cheapest_first, find_tree

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from backstop.model.access import AccessRole
    from backstop.model.backup import BackupLabel
    from backstop.repository.catalog import Published, Repository


class TreeSession(Session):
    """One run of a verb on one file tree.

    :raises NotFoundError: no such tree; :raises ConfigurationError: none is named where there are several.
    """

    def __init__(self, arguments: argparse.Namespace, role: AccessRole) -> None:
        super().__init__(arguments, role)
        self.tree = find_tree(self.configuration, self.target_name, self._chosen(arguments.tree))

    def readable(self, only: str | None = None) -> list[Repository]:
        """The tree's repositories, directories first, or the one that was asked for.

        One that cannot be opened is named on stderr and passed over.

        :raises BackstopError: none can be opened; the first one's error.
        """
        used = self.tree.repositories or self.configuration.targets[self.target_name].database.repositories
        names = [name for name in cheapest_first(self.configuration, self.target_name) if name in used]
        opened: list[Repository] = []
        failures: list[BackstopError] = []
        for name in [only] if only else names:
            try:
                opened.append(self.repository(name))
            except BackstopError as error:
                failures.append(error)
                say(f"backstop: repository {name} is passed over: {error.message}")
        if not opened:
            raise failures[0]
        return opened

    def backups(self, repositories: list[Repository]) -> list[tuple[Repository, Published]]:
        """Every backup of the tree once, oldest first, with the first repository that has it.

        :raises BackstopError: no repository answers; :raises NotFoundError: there is no backup.
        """
        found: dict[BackupLabel, tuple[Repository, Published]] = {}
        failures: list[BackstopError] = []
        for repository in repositories:
            try:
                listing = repository.catalog.backups()
            except BackstopError as error:
                failures.append(error)
                say(f"backstop: repository {repository.name} is passed over: {error.message}")
                continue
            for unreadable in listing.unreadable:
                say(f"backstop: {unreadable}")
            for published in listing.of_tree(self.tree.name):
                found.setdefault(published.manifest.label, (repository, published))
        if not found:
            raise (
                failures[0]
                if failures
                else NotFoundError(
                    f"there is no backup of {self.tree.name} of {self.target_name}",
                    hint="take one: `python -m backstop back-up-files`",
                )
            )
        return sorted(found.values(), key=lambda one: one[1].manifest.finished_at)

    def choose(
        self, repositories: list[Repository], text: str, *, at: datetime | None = None
    ) -> tuple[Repository, Published]:
        """One backup, and the first repository that has it.

        :param text: a label, ``latest`` or ``latest-proven``.
        :param at: it must have been finished by then.
        :raises NotFoundError: there is none such.
        """
        wanted = None if text in (LATEST, LATEST_PROVEN) else parse_label(text)
        for repository, published in reversed(self.backups(repositories)):
            manifest = published.manifest
            if wanted is not None and manifest.label != wanted:
                continue
            if at is not None and manifest.finished_at > at:
                continue
            if text == LATEST_PROVEN and not repository.catalog.verifications(published).proven:
                continue
            return repository, published
        when = f" from before {at.isoformat()}" if at else ""
        raise NotFoundError(
            f"{self.tree.name} of {self.target_name} has no backup {text}{when}",
            hint="see `python -m backstop list`",
        )

    def _chosen(self, name: str | None) -> str:
        trees = self.configuration.targets[self.target_name].trees
        if name is not None:
            return name
        if len(trees) == 1:
            return next(iter(trees))
        raise ConfigurationError(
            f"target {self.target_name} has {'several file trees' if trees else 'no file tree'}",
            hint=f"add --tree with one of: {', '.join(sorted(trees))}" if trees else "describe it in `trees`",
        )
