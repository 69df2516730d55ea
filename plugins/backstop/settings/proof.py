"""How targets.yaml wants backups proven, as settings of commands. For the CLI and for Airflow alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from backstop.settings.database import as_queries, private_folders, staging, verify_queries
from backstop.settings.trees import tree_staging

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backstop.commands.proof.dump import VerifySettings
    from backstop.commands.proof.prove import ProofSettings
    from backstop.commands.proof.tree import TreeVerifySettings
    from backstop.commands.proof.work import Policies
    from backstop.commands.trees.expected import ExpectedFiles
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Repository
    from backstop.targets import Configuration


def proof_settings(
    configuration: Configuration,
    target: str,
    repositories: Sequence[Repository],
    *,
    server: ClusterConnection | None,
    reader: Callable[[], ClusterConnection],
) -> ProofSettings:
    """How to prove this target's backups of every kind.

    :param server: what ``verify.server_conn_id`` names, if anything; base backups are never restored there.
    :param reader: gives the connection of the backup role, which is asked what files the database expects.
    """
    from backstop.commands.proof.prove import ProofSettings

    section = configuration.targets[target]
    recovery = section.cluster.recovery if section.cluster else None
    dump = verify_settings(configuration, target, repositories, server=server)
    return ProofSettings(
        dump=dump,
        base=replace(dump, server=None, queries=as_queries(recovery.queries) if recovery else ()),
        superuser=recovery.superuser if recovery else "postgres",
        database=section.database.dbname,
        trees={
            tree: tree_verify_settings(configuration, target, tree, repositories, reader=reader)
            for tree in section.trees
        },
    )


def verify_settings(
    configuration: Configuration,
    target: str,
    repositories: Sequence[Repository],
    *,
    server: ClusterConnection | None,
) -> VerifySettings:
    """How to prove dumps of this target's database.

    :param server: what ``verify.server_conn_id`` names, if anything.
    """
    from backstop.commands.proof.dump import VerifySettings

    database = configuration.targets[target].database
    return VerifySettings(
        scratch=staging(configuration, target, repositories),
        jobs=database.jobs,
        isolation=database.verify.isolation,
        hide=private_folders(configuration),
        queries=verify_queries(configuration, target),
        server=server,
    )


def tree_verify_settings(
    configuration: Configuration,
    target: str,
    tree: str,
    repositories: Sequence[Repository],
    *,
    reader: Callable[[], ClusterConnection],
) -> TreeVerifySettings:
    """How to prove backups of one of this target's file trees."""
    from backstop.commands.proof.tree import TreeVerifySettings

    section = configuration.targets[target].trees[tree]
    return TreeVerifySettings(
        scratch=tree_staging(configuration, target, tree, repositories),
        share=section.verify.share,
        expected=expected_files(configuration, target, tree, reader=reader),
    )


def expected_files(
    configuration: Configuration, target: str, tree: str, *, reader: Callable[[], ClusterConnection]
) -> ExpectedFiles | None:
    """Where the paths come from that the database expects in the tree; None where nobody says."""
    from backstop.commands.trees.expected import ExpectedFiles
    from backstop.wiring import find_tree

    expected = find_tree(configuration, target, tree).expected
    if expected is None:
        return None
    return ExpectedFiles(sql=expected.sql, below=PurePosixPath(expected.below), database=reader)


def verify_policies(configuration: Configuration, target: str, repository: str) -> Policies:
    """Which of the target's backups are to be proven in one of its repositories."""
    from backstop.commands.proof.work import Policies

    section = configuration.targets[target]
    usual = repository in section.database.repositories
    return Policies(
        dumps=section.database.verify.policy if usual else None,
        base=section.cluster.verify if usual and section.cluster else None,
        trees={
            name: tree.verify.policy
            for name, tree in section.trees.items()
            if repository in (tree.repositories or section.database.repositories)
        },
    )
