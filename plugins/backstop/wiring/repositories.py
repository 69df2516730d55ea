"""Opens repositories and the storage they are in."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import TYPE_CHECKING

from backstop.credentials import role_of
from backstop.errors import BackstopError, ConfigurationError, NotFoundError
from backstop.wiring.evidence import evidence_book
from backstop.wiring.keys import open_trust
from backstop.wiring.locks import lock_rule
from backstop.wiring.targets import find_target, find_tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_s3 import S3Client

    from backstop.credentials import CredentialSource
    from backstop.crypto.signing import TrustedSigners
    from backstop.model.object_lock import LockRule
    from backstop.repository.catalog import EvidenceBook, Repository
    from backstop.storage.base import Storage
    from backstop.storage.s3_lifecycle import BucketLifecycle
    from backstop.storage.s3_settings import BucketSettings
    from backstop.targets import Configuration, RepositoryConfig, S3Repository, Target
    from backstop.targets.trees import Tree


def open_repositories(
    configuration: Configuration, target_name: str, credentials: CredentialSource
) -> list[Repository]:
    """The repositories of the target's database, in the order of targets.yaml.

    :raises ConfigurationError: a connection is missing; :raises KeyUnavailableError: no trusted signers.
    """
    names = find_target(configuration, target_name).database.repositories
    return _repositories(configuration, target_name, names, credentials)


def open_tree_repositories(
    configuration: Configuration, target_name: str, tree: str, credentials: CredentialSource
) -> list[Repository]:
    """The repositories of one of the target's file trees, in the order of targets.yaml.

    :raises NotFoundError: no such tree; otherwise as :func:`open_repositories`.
    """
    names = _tree_repositories(
        find_target(configuration, target_name), find_tree(configuration, target_name, tree)
    )
    return _repositories(configuration, target_name, names, credentials)


def open_every_repository(
    configuration: Configuration,
    target_name: str,
    credentials: CredentialSource,
    *,
    storages: dict[str, Storage] | None = None,
) -> list[Repository]:
    """Wherever backups of the target lie: those of its database, then what only its trees use.

    :param storages: by name, opened already; those that are not will be among them, for the next target.
    :raises ConfigurationError: a connection is missing; :raises KeyUnavailableError: no trusted signers.
    """
    names = every_repository(configuration, target_name)
    return _repositories(configuration, target_name, names, credentials, storages=storages)


def open_what_can_be(
    configuration: Configuration,
    target_name: str,
    credentials: CredentialSource,
    names: Sequence[str] | None = None,
) -> tuple[list[Repository], dict[str, BackstopError]]:
    """One by one, for what must not wait for the last of them: a connection that one lacks hides no other.

    :param names: of the target's; None: every one, in the order of :func:`every_repository`.
    :returns: those that were opened, one at least; and by name, why another was not.
    :raises BackstopError: none could be opened: why the first could not.
    """
    opened: list[Repository] = []
    failed: dict[str, BackstopError] = {}
    for name in every_repository(configuration, target_name) if names is None else names:
        try:
            opened.append(open_repository(configuration, target_name, name, credentials))
        except BackstopError as error:
            failed[name] = error
    if failed and not opened:
        raise next(iter(failed.values()))
    return opened, failed


def open_repository(
    configuration: Configuration, target_name: str, name: str, credentials: CredentialSource
) -> Repository:
    """One of the target's repositories: the others' credentials and libraries are not needed for it.

    :raises NotFoundError: the target does not use a repository of that name.
    """
    listed = every_repository(configuration, target_name)
    if name not in listed:
        raise NotFoundError(
            f"target {target_name} has no repository {name!r}", hint=f"choose one of: {', '.join(listed)}"
        )
    return _repositories(configuration, target_name, [name], credentials)[0]


def others_of(
    configuration: Configuration, target_name: str, repository: Repository, credentials: CredentialSource
) -> Iterator[Repository]:
    """The target's other repositories, each opened when its turn comes; one that cannot be is left out."""
    for name in every_repository(configuration, target_name):
        if name != repository.name:
            with contextlib.suppress(BackstopError):
                yield open_repository(configuration, target_name, name, credentials)


def every_repository(configuration: Configuration, target_name: str) -> list[str]:
    """Names of the repositories of the target's database, then of those that only its trees use."""
    target = find_target(configuration, target_name)
    names = dict.fromkeys(target.database.repositories)
    for tree in target.trees.values():
        names.update(dict.fromkeys(_tree_repositories(target, tree)))
    return list(names)


def cheapest_first(
    configuration: Configuration, target_name: str, names: Sequence[str] | None = None
) -> list[str]:
    """Names of repositories, directories before S3: those take no second to open.

    :param names: of the target's; None: every one.
    """
    listed = every_repository(configuration, target_name) if names is None else names
    return sorted(listed, key=lambda name: configuration.repositories[name].type != "posix")


def open_storage(
    repository: RepositoryConfig,
    credentials: CredentialSource,
    *,
    lock: LockRule | None = None,
    hurried: bool = False,
) -> Storage:
    """The bytes of one repository.

    :param lock: of :func:`backstop.wiring.locks.lock_rule`, for who may write there.
    :param hurried: give up after seconds instead of minutes: for who comes again anyway.
    """
    if repository.type == "posix":
        from backstop.storage.posix import PosixStorage

        return PosixStorage(repository.path, mounted=repository.mounted)
    return _s3_storage(repository, credentials, lock=lock, hurried=hurried)


def open_lifecycle(repository: S3Repository, credentials: CredentialSource) -> BucketLifecycle:
    """The lifecycle rules of a repository's bucket. :raises ConfigurationError: a connection is missing."""
    from backstop.storage.s3_lifecycle import BucketLifecycle
    from backstop.storage.s3_retry import Patience

    client = _s3_client(repository, credentials)
    return BucketLifecycle(client, bucket=repository.bucket, patience=Patience())


def open_bucket_settings(repository: S3Repository, credentials: CredentialSource) -> BucketSettings:
    """What a repository's bucket is set to. :raises ConfigurationError: a connection is missing."""
    from backstop.storage.s3_retry import Patience
    from backstop.storage.s3_settings import BucketSettings

    client = _s3_client(repository, credentials)
    return BucketSettings(client, bucket=repository.bucket, patience=Patience())


def open_bucket(
    lender: RepositoryConfig, credentials: CredentialSource, *, bucket: str, prefix: str
) -> Storage:
    """A corner of a bucket that the credentials of an S3 repository reach."""
    from backstop.storage.s3 import S3Storage

    if lender.type != "s3":
        raise ConfigurationError(
            f"repositories.{lender.name} is no S3 repository", hint="correct `legacy` in targets.yaml"
        )
    return S3Storage(_s3_client(lender, credentials), bucket=bucket, prefix=prefix)


def _tree_repositories(target: Target, tree: Tree) -> list[str]:
    return tree.repositories or target.database.repositories


def _repositories(
    configuration: Configuration,
    target_name: str,
    names: Sequence[str],
    credentials: CredentialSource,
    *,
    storages: dict[str, Storage] | None = None,
) -> list[Repository]:
    trust = open_trust(configuration, target_name)
    opened = {} if storages is None else storages
    for name in names:
        if name not in opened:
            opened[name] = open_storage(
                configuration.repositories[name], credentials, lock=lock_rule(configuration, name)
            )

    @cache
    def every() -> list[Repository]:
        return open_every_repository(configuration, target_name, credentials, storages=opened)

    book = evidence_book(configuration, target_name, credentials, witnesses=every)
    return [_repository(name, opened[name], target_name, trust, book) for name in names]


def _repository(
    name: str, storage: Storage, target_name: str, trust: TrustedSigners, book: EvidenceBook
) -> Repository:
    from backstop.repository.catalog import Catalog, Repository

    catalog = Catalog(storage, target_name, trust=trust)
    return Repository(name=name, storage=storage, catalog=catalog, evidence=book)


def _s3_storage(
    config: S3Repository, credentials: CredentialSource, *, lock: LockRule | None, hurried: bool
) -> Storage:
    from backstop.storage.s3 import S3Storage
    from backstop.storage.s3_retry import Patience

    timeouts = {"connect_timeout": 5.0, "read_timeout": 10.0} if hurried else {}
    return S3Storage(
        _s3_client(config, credentials, **timeouts),
        bucket=config.bucket,
        prefix=config.prefix,
        patience=Patience(attempts=3, total_seconds=15.0) if hurried else None,
        lock_rule=lock,
    )


def _s3_client(config: S3Repository, credentials: CredentialSource, **timeouts: float) -> S3Client:
    from backstop.storage.s3_client import s3_client

    role = role_of(credentials)
    conn_id = config.connections.of(role) or config.conn_id
    try:
        credential = credentials.get(conn_id) if conn_id else None
    except ConfigurationError as error:
        what = f"repository {config.name}" + (f" for the role {role.value}" if role else "")
        raise ConfigurationError(f"{what}: {error.message}", hint=error.hint) from None
    return s3_client(credential, endpoint_url=config.endpoint_url, region=config.region, **timeouts)
