"""One target is one database: two under one name would be each other's history, and each other's restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.same_server import refuse_earlier
from backstop.crypto.signing import UntrustedSignerError
from backstop.errors import IntegrityError, NotFoundError, SourceError, StorageError
from backstop.model.backup import BackupKind
from backstop.postgres.preflight import UNKNOWN
from backstop.repository.newest import newest_first

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.commands.database.attempt import DumpSettings
    from backstop.commands.publication import Publication
    from backstop.model.backup import BackupLabel, Manifest
    from backstop.postgres.preflight import SourceFacts
    from backstop.repository.catalog import Repository


def refuse_other_database(
    publication: Publication,
    facts: SourceFacts,
    settings: DumpSettings,
    *,
    again: Callable[[], SourceFacts],
) -> None:
    """Compare the database about to be dumped with the newest dump of the target in each repository.

    A copy of the server's files has its system identifier: it is told by how far it has come, where the role
    may read that. Where it may not even read the identifier, only the database's name tells. A repository in
    which only strangers have signed dumps of this target goes without, as one that does not answer.

    :param settings: says which other cluster or database may take over.
    :param again: looks at the server anew: another dump may have been published since ``facts`` were found.
    :raises SourceError: the newest dump in some repository is of another database, or of a later state.
    :raises UntrustedSignerError: strangers have signed all dumps in every repository.
    """
    for repository in list(publication.repositories):
        try:
            newest = _newest(repository)
        except (UntrustedSignerError, StorageError) as error:
            publication.leave_out(repository.name, error)
            continue
        if newest is not None:
            _refuse(newest, repository.name, facts, settings, again)


def _newest(repository: Repository) -> Manifest | None:
    for published in newest_first(repository.catalog, wanted=_is_dump):
        return published.manifest
    for label, _ in repository.catalog.labels():
        if _is_dump(label):
            _refuse_strangers(repository, label)
    return None


def _is_dump(label: BackupLabel) -> bool:
    return label.kind is BackupKind.DUMP


def _refuse_strangers(repository: Repository, label: BackupLabel) -> None:
    try:
        repository.catalog.backup(label)
    except UntrustedSignerError as error:
        raise UntrustedSignerError(
            f"{repository.name} holds dumps of {repository.catalog.target}, and none that we trust: "
            f"{error.message}",
            hint="another deployment with keys of its own backs up into it: give this one a repository, or a "
            "target name, of its own; if those keys were yours, trust their public half in trusted.json",
        ) from error
    except (IntegrityError, NotFoundError):
        return  # damaged, or gone meanwhile: no reason to be without a new one


def _refuse(
    manifest: Manifest,
    repository: str,
    facts: SourceFacts,
    settings: DumpSettings,
    again: Callable[[], SourceFacts],
) -> None:
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
    # A standby may lag behind what its primary was dumped at.
    if known and not facts.in_recovery and settings.new_cluster != facts.system_id:
        try:
            _refuse_earlier(manifest, repository, facts)
        except SourceError:
            _refuse_earlier(manifest, repository, again())


def _refuse_earlier(manifest: Manifest, repository: str, facts: SourceFacts) -> None:
    refuse_earlier(manifest, repository, timeline=facts.timeline, lsn=facts.lsn, verb="back-up-database")
