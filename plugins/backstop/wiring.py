"""Opens what targets.yaml names: repositories, keys, servers. For the CLI and for Airflow alike.

Everything comes from values: the configuration, and a source of credentials. Nothing is contacted here;
the first use does that.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError, KeyUnavailableError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from backstop.credentials import CredentialSource
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.signing import Role, Signer, TrustedSigners
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Repository
    from backstop.repository.inventory import Inventory
    from backstop.storage.base import Storage
    from backstop.storage.s3_lifecycle import BucketLifecycle
    from backstop.targets import (
        Cluster,
        Configuration,
        KeysConfig,
        KmsKeys,
        RepositoryConfig,
        S3Repository,
        Target,
    )
    from backstop.targets.cluster import Recovery
    from backstop.targets.trees import Tree


def find_target(configuration: Configuration, name: str) -> Target:
    """:raises NotFoundError: no such target; says which there are."""
    try:
        return configuration.targets[name]
    except KeyError:
        close = difflib.get_close_matches(name, configuration.targets, n=1)
        known = ", ".join(sorted(configuration.targets)) or "none"
        hint = f"did you mean {close[0]!r}?" if close else f"targets.yaml has: {known}"
        raise NotFoundError(f"there is no target {name!r}", hint=hint) from None


def find_tree(configuration: Configuration, target_name: str, tree: str) -> Tree:
    """:raises NotFoundError: the target has no file tree of that name; says which it has."""
    trees = find_target(configuration, target_name).trees
    try:
        return trees[tree]
    except KeyError:
        close = difflib.get_close_matches(tree, trees, n=1)
        known = ", ".join(sorted(trees)) or "none"
        hint = f"did you mean {close[0]!r}?" if close else f"its `trees` are: {known}"
        raise NotFoundError(f"target {target_name} has no file tree {tree!r}", hint=hint) from None


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
    configuration: Configuration, target_name: str, credentials: CredentialSource
) -> list[Repository]:
    """Wherever backups of the target lie: those of its database, then what only its trees use.

    :raises ConfigurationError: a connection is missing; :raises KeyUnavailableError: no trusted signers.
    """
    names = every_repository(configuration, target_name)
    return _repositories(configuration, target_name, names, credentials)


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


def every_repository(configuration: Configuration, target_name: str) -> list[str]:
    """Names of the repositories of the target's database, then of those that only its trees use."""
    target = find_target(configuration, target_name)
    names = dict.fromkeys(target.database.repositories)
    for tree in target.trees.values():
        names.update(dict.fromkeys(_tree_repositories(target, tree)))
    return list(names)


def cheapest_first(configuration: Configuration, target_name: str) -> list[str]:
    """Names of the target's repositories, directories before S3: those take no second to open."""
    listed = every_repository(configuration, target_name)
    return sorted(listed, key=lambda name: configuration.repositories[name].type != "posix")


def open_storage(repository: RepositoryConfig, credentials: CredentialSource) -> Storage:
    """The bytes of one repository."""
    if repository.type == "posix":
        from backstop.storage.posix import PosixStorage

        return PosixStorage(repository.path, mounted=repository.mounted)
    return _s3_storage(repository, credentials)


def open_lifecycle(repository: S3Repository, credentials: CredentialSource) -> BucketLifecycle:
    """The lifecycle rules of a repository's bucket. :raises ConfigurationError: a connection is missing."""
    from backstop.storage.s3_lifecycle import BucketLifecycle
    from backstop.storage.s3_retry import Patience

    client = _s3_client(repository, credentials)
    return BucketLifecycle(client, bucket=repository.bucket, patience=Patience())


def open_keyring(
    configuration: Configuration,
    target_name: str,
    credentials: CredentialSource,
    *,
    for_reading: bool = False,
    escrow_key: Path | None = None,
    escrow_password: bytes | None = None,
) -> Keyring:
    """The keys that encrypt and decrypt the target's backups.

    :param for_reading: a restore is never refused for want of an escrow copy; a backup is.
    :param escrow_key: private half of the offline key, when the usual keys are lost; used alone.
    :raises KeyUnavailableError: a key file is missing or unsafe, or no escrow copy has been named.
    """
    keys = _keys(configuration, target_name)
    if escrow_key is not None:
        from backstop.crypto.escrow import EscrowKeyring

        return EscrowKeyring.load_private(escrow_key, password=escrow_password)
    if keys.storage == "local" and keys.escrow is None and not for_reading:
        raise KeyUnavailableError(
            f"key ring {keys.path} exists on this machine alone, as far as keys.{keys.name}.escrow tells: "
            "lose it, and every backup is lost",
            hint="copy it to a safe place and write escrow: {copied_to: …, on: …}, "
            "or escrow: {waived: <why>}, into targets.yaml",
        )
    primary = _primary_keyring(keys, credentials)
    public_key = getattr(keys.escrow, "public_key", None)
    # A public half opens nothing: its loss must not stop a restore.
    if public_key is None or for_reading:
        return primary
    from backstop.crypto.escrow import EscrowKeyring
    from backstop.crypto.keyring import CombinedKeyring

    return CombinedKeyring(primary, EscrowKeyring.load_public(public_key))


def open_signer(configuration: Configuration, target_name: str, role: Role) -> Signer:
    """The private key that signs ``manifest`` or ``proof`` documents.

    :raises KeyUnavailableError: missing or open to others.
    """
    from backstop.crypto.signing import Signer

    return Signer.load(_keys(configuration, target_name).signing / f"{role}.pem")


def open_trust(configuration: Configuration, target_name: str) -> TrustedSigners:
    """Whose signatures count. :raises KeyUnavailableError: the list is missing or unsafe."""
    from backstop.crypto.signing import TrustedSigners

    return TrustedSigners.load(_keys(configuration, target_name).signing / "trusted.json")


def cluster_connection(
    configuration: Configuration,
    target_name: str,
    credentials: CredentialSource,
    *,
    for_restore: bool = False,
) -> ClusterConnection:
    """The protected database, as the backup role or, ``for_restore``, as the role that creates databases.

    :raises ConfigurationError: the connection is missing or incomplete.
    """
    from backstop.credentials import postgres_connection

    database = find_target(configuration, target_name).database
    conn_id = database.restore_conn_id if for_restore else database.conn_id
    if conn_id is None:
        raise ConfigurationError(
            f"target {target_name} has no restore_conn_id",
            hint="add the connection of a role with CREATEDB that is a member of the database's owner",
        )
    return postgres_connection(credentials.get(conn_id), database.dbname)


def replication_connection(
    configuration: Configuration, target_name: str, credentials: CredentialSource
) -> ClusterConnection:
    """The whole server, as the role that copies it and receives its WAL.

    :raises ConfigurationError: the target has no ``cluster`` section, or its connection is missing.
    """
    from backstop.credentials import postgres_connection

    cluster = find_cluster(configuration, target_name)
    dbname = configuration.targets[target_name].database.dbname
    return postgres_connection(credentials.get(cluster.conn_id), dbname)


def find_cluster(configuration: Configuration, target_name: str) -> Cluster:
    """:raises ConfigurationError: the target has no ``cluster`` section."""
    cluster = find_target(configuration, target_name).cluster
    if cluster is None:
        raise ConfigurationError(
            f"target {target_name} has no `cluster` section: only dumps of its database are taken",
            hint="describe its replication role there (docs/targets.md)",
        )
    return cluster


def find_recovery(configuration: Configuration, target_name: str) -> Recovery:
    """:raises ConfigurationError: the target does not say where its cluster is recovered."""
    recovery = find_cluster(configuration, target_name).recovery
    if recovery is None:
        raise ConfigurationError(
            f"target {target_name} has no cluster.recovery: nobody knows where to recover it",
            hint="name a directory with room for the whole cluster (docs/targets.md)",
        )
    return recovery


def open_inventory(configuration: Configuration, credentials: CredentialSource) -> Inventory | None:
    """The inventory, where targets.yaml names one.

    :raises ConfigurationError: its connection is missing or incomplete.
    """
    from backstop.credentials import postgres_connection
    from backstop.repository.inventory import Inventory

    if configuration.inventory is None:
        return None
    return Inventory(postgres_connection(credentials.get(configuration.inventory.conn_id)))


def verification_server(
    configuration: Configuration, target_name: str, credentials: CredentialSource
) -> ClusterConnection | None:
    """The server that ``verify.server_conn_id`` names; None verifies in a scratch server on the worker."""
    from backstop.credentials import postgres_connection

    conn_id = find_target(configuration, target_name).database.verify.server_conn_id
    return postgres_connection(credentials.get(conn_id), "postgres") if conn_id else None


def _keys(configuration: Configuration, target_name: str) -> KeysConfig:
    return configuration.keys[find_target(configuration, target_name).keys]


def _tree_repositories(target: Target, tree: Tree) -> list[str]:
    return tree.repositories or target.database.repositories


def _repositories(
    configuration: Configuration, target_name: str, names: Sequence[str], credentials: CredentialSource
) -> list[Repository]:
    trust = open_trust(configuration, target_name)
    return [_repository(configuration.repositories[name], target_name, trust, credentials) for name in names]


def _repository(
    config: RepositoryConfig, target_name: str, trust: TrustedSigners, credentials: CredentialSource
) -> Repository:
    from backstop.repository.catalog import Catalog, Repository

    storage = open_storage(config, credentials)
    return Repository(name=config.name, storage=storage, catalog=Catalog(storage, target_name, trust=trust))


def _s3_storage(config: S3Repository, credentials: CredentialSource) -> Storage:
    from backstop.storage.s3 import S3Storage

    return S3Storage(_s3_client(config, credentials), bucket=config.bucket, prefix=config.prefix)


def _s3_client(config: S3Repository, credentials: CredentialSource) -> S3Client:
    from backstop.storage.s3_client import s3_client

    credential = credentials.get(config.conn_id) if config.conn_id else None
    return s3_client(credential, endpoint_url=config.endpoint_url, region=config.region)


def _primary_keyring(keys: KeysConfig, credentials: CredentialSource) -> Keyring:
    if keys.storage == "local":
        from backstop.crypto.keyring import LocalKeyring

        return LocalKeyring.load(keys.path)
    return _kms_keyring(keys, credentials)


def _kms_keyring(keys: KmsKeys, credentials: CredentialSource) -> Keyring:
    from backstop.crypto.kms import KmsKeyring, kms_clients

    credential = credentials.get(keys.conn_id) if keys.conn_id else None
    clients = kms_clients(
        access_key_id=credential.login if credential else None,
        secret_access_key=credential.password if credential else None,
        session_token=credential.extra.get("aws_session_token") if credential else None,
        endpoint_url=keys.endpoint_url,
    )
    return KmsKeyring([keys.key_arn, *keys.further_key_arns], client_for=clients)
