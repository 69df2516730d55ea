"""Which backup of a tree, and from which repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import BackstopError, NotFoundError
from backstop.model.backup import BackupLabel
from backstop.model.canonical import format_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from backstop.repository.catalog import Published, Repository


def find_tree_backup(
    repositories: Sequence[Repository], tree: str, *, label: str | None = None, at: datetime | None = None
) -> tuple[Repository, BackupLabel]:
    """The backup of that label, else the newest one; with ``at``, the newest that had finished by then.

    The first repository that has it is chosen. One that does not answer is passed over while another does.

    :raises NotFoundError: there is none. :raises BackstopError: no repository answers.
    """
    best: tuple[datetime, Repository, BackupLabel] | None = None
    failures: list[BackstopError] = []
    for repository in repositories:
        try:
            found = _candidates(repository, tree, label, at)
        except BackstopError as error:
            failures.append(error)
            continue
        for published in found:
            manifest = published.manifest
            if best is None or manifest.finished_at > best[0]:
                best = (manifest.finished_at, repository, manifest.label)
    if best is not None:
        return best[1], best[2]
    if failures and len(failures) == len(repositories):
        raise failures[0]
    wanted = f"backup {label}" if label else f"backup of {tree}" + (f" by {format_time(at)}" if at else "")
    names = ", ".join(repository.name for repository in repositories)
    raise NotFoundError(
        f"there is no {wanted} in {names}",
        hint=failures[0].message if failures else "see `python -m backstop list`, or choose another time",
    )


def _candidates(
    repository: Repository, tree: str, label: str | None, at: datetime | None
) -> Sequence[Published]:
    if label is not None:
        try:
            wanted = BackupLabel(label)
        except ValueError as error:
            raise NotFoundError(str(error), hint="copy it from the list of backups") from None
        if wanted.tree != tree:
            raise NotFoundError(f"{label} is no backup of {tree}", hint="see `python -m backstop list`")
        return [repository.catalog.backup(wanted)] if repository.catalog.has(wanted) else []
    listing = repository.catalog.backups()
    return [one for one in listing.of_tree(tree) if at is None or one.manifest.finished_at <= at]
