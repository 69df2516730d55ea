"""Asks the ``amcheck`` extension, where a database has it, whether its indexes and tables hold together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from backstop.sql import load_sql

if TYPE_CHECKING:
    from backstop.postgres.connection import ClusterConnection


def check_relations(cluster: ClusterConnection) -> tuple[int | None, list[str]]:
    """Every B-tree index of every database that has the extension.

    :returns: how many were checked, None when no database has it; and one sentence for each that is damaged.
    """
    checked: int | None = None
    damaged: list[str] = []
    with cluster.connect(application_name="backstop:verify") as session:
        names = [row[0] for row in session.execute(load_sql("recovery/databases")).fetchall()]
    for name in names:
        with cluster.with_database(name).connect(application_name="backstop:verify") as session:
            for schema, oid, index in session.execute(load_sql("recovery/btree_indexes")).fetchall():
                checked = (checked or 0) + 1
                call = psycopg.sql.SQL("SELECT {}.bt_index_check({}::oid::regclass)").format(
                    psycopg.sql.Identifier(schema), psycopg.sql.Literal(oid)
                )
                try:
                    session.execute(call)
                except psycopg.Error as error:
                    said = error.diag.message_primary or type(error).__name__
                    damaged.append(f"index {index} of {name}: {said}")
    return checked, damaged
