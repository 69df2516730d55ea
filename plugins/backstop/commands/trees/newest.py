"""The newest published backup of a tree, asked for again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import BackstopError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from backstop.model.backup import BackupLabel
    from backstop.repository.catalog import Published, Repository


class NewestBackup:
    """Finds it by one listing of names a repository; a manifest is read once.

    :param repositories: those of the tree; of two that hold the same backup the first is read.
    """

    def __init__(self, repositories: Sequence[Repository], tree: str) -> None:
        self._repositories = repositories
        self._tree = tree
        self._finished: dict[tuple[str, BackupLabel], datetime | None] = {}
        self._last: tuple[str, Published] | None = None

    def find(self) -> tuple[Repository, Published] | None:
        """None when there is no backup of the tree. A damaged manifest is none: its backup is not trusted.

        :raises BackstopError: no repository answers; the first one's error.
        """
        found: tuple[datetime, Repository, BackupLabel] | None = None
        failures: list[BackstopError] = []
        for repository in self._repositories:
            try:
                held = self._finished_in(repository)
            except BackstopError as error:
                failures.append(error)
                continue
            for label, finished in held.items():
                if found is None or finished > found[0]:
                    found = finished, repository, label
        if failures and len(failures) == len(self._repositories):
            raise failures[0]
        if found is None:
            return None
        _, repository, label = found
        if self._last is None or (self._last[0], self._last[1].manifest.label) != (repository.name, label):
            self._last = repository.name, repository.catalog.backup(label)
        return repository, self._last[1]

    def _finished_in(self, repository: Repository) -> dict[BackupLabel, datetime]:
        held: dict[BackupLabel, datetime] = {}
        for label, _ in repository.catalog.labels():
            if label.tree != self._tree:
                continue
            key = repository.name, label
            if key not in self._finished:
                try:
                    self._finished[key] = repository.catalog.backup(label).manifest.finished_at
                except IntegrityError:
                    self._finished[key] = None
            finished = self._finished[key]
            if finished is not None:
                held[label] = finished
        return held
