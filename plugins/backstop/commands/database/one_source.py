"""One target is one database: two under one name would be each other's history, and each other's restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import SourceError
from backstop.model.backup import BackupKind
from backstop.postgres.preflight import UNKNOWN
from backstop.repository.newest import newest_first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.commands.database.attempt import DumpSettings
    from backstop.model.backup import Manifest
    from backstop.postgres.preflight import SourceFacts
    from backstop.repository.catalog import Repository


def refuse_other_database(
    repositories: Sequence[Repository], facts: SourceFacts, settings: DumpSettings
) -> None:
    """Compare the database about to be dumped with the newest dump of the target in each repository.

    A copy of the server's files has its system identifier, and a role may not be allowed to read that: then
    only the database's name tells.

    :param settings: says which other cluster or database may take over.
    :raises SourceError: the newest dump in some repository is of another database.
    """
    for repository in repositories:
        dumps = newest_first(repository.catalog, wanted=lambda label: label.kind is BackupKind.DUMP)
        newest = next(dumps, None)
        if newest is not None:
            _refuse(newest.manifest, repository.name, facts, settings)


def _refuse(manifest: Manifest, repository: str, facts: SourceFacts, settings: DumpSettings) -> None:
    known = UNKNOWN not in (manifest.system_id, facts.system_id)
    if known and manifest.system_id != facts.system_id and settings.new_cluster != facts.system_id:
        raise SourceError(
            f"{manifest.label} of {manifest.target} in {repository} is of cluster {manifest.system_id}, and "
            f"this server is cluster {facts.system_id}",
            hint="give another database another target, or another repository; should this one have taken "
            "its place (a new server, a pg_upgrade), say so once: `python -m backstop back-up-database "
            f"--target {manifest.target} --new-cluster {facts.system_id}`",
        )
    if manifest.database != facts.database and settings.new_database != facts.database:
        raise SourceError(
            f"{manifest.label} of {manifest.target} in {repository} is of database {manifest.database!r}, "
            f"and this is database {facts.database!r}",
            hint="give another database another target, or another repository; should this one have taken "
            "its place, say so once: `python -m backstop back-up-database "
            f"--target {manifest.target} --new-database {facts.database}`",
        )
