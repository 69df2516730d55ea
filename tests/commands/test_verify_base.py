"""Proofs of base backups: they come from a real recovery, and say what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.commands.progress import Silent
from backstop.commands.proof.base import verify_base_backup
from backstop.commands.questions import Query
from backstop.model.backup import BackupLabel
from tests.protection import utc_now
from tests.recovery_world import ALSO_15, ONLY_15

if TYPE_CHECKING:
    from backstop.model.proof import Proof
    from tests.recovery_world import World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def prove(world: World, label: str, **changes) -> Proof:
    settings = world.protection.verify
    for name, value in changes.items():
        settings = type(settings)(**{**{f: getattr(settings, f) for f in settings.__slots__}, name: value})
    return verify_base_backup(
        repository=world.protection.repository("local"),
        label=BackupLabel(label),
        keyring=world.protection.keyring,
        signer=world.protection.proof_signer,
        settings=settings,
        clock=utc_now,
        progress=Silent(),
    )


@ALSO_15
def test_a_base_backup_is_proven_by_replaying_all_wal_behind_it(world: World) -> None:
    report = world.backups.take()
    world.source.ledger.write(7)
    world.ship()

    proof = prove(world, report.label, queries=[Query("SELECT count(*) FROM ledger", 7, "commits")])

    assert proof.matched, proof.differences
    assert proof.checks["replayed_bytes"] > 0
    assert proof.checks["pages"] > 0
    assert proof.durations["restore"] > 0
    assert "isolated" in proof.isolation
    assert list(world.protection.verify.scratch.iterdir()) == []


def test_a_base_backup_without_its_wal_gets_a_proof_that_says_so(world: World) -> None:
    report = world.backups.take()

    proof = prove(world, report.label)

    assert not proof.matched
    assert "WAL" in proof.differences[0]


@ONLY_15
def test_an_index_whose_order_is_wrong_fails_the_proof_and_is_named_after_a_recovery(world: World) -> None:
    with world.source.server.connect() as session:
        session.execute("CREATE EXTENSION amcheck")
        session.execute(
            "CREATE FUNCTION ordered(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';"
            "CREATE OPERATOR CLASS own_order FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, "
            "OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 ordered(int, int);"
            "CREATE TABLE sorted AS SELECT n FROM generate_series(1, 1000) n;"
            "CREATE INDEX in_own_order ON sorted (n own_order);"
        )
    whole = world.backups.take()
    world.ship()
    sound = prove(world, whole.label)
    with world.source.server.connect() as session:
        # As when a library's collation changes: nothing of the index is damaged, and its order is wrong.
        session.execute(
            "CREATE OR REPLACE FUNCTION ordered(int, int) RETURNS int LANGUAGE sql IMMUTABLE "
            "AS 'SELECT $2 - $1'"
        )
    damaged = world.backups.take()
    world.source.ledger.write(1)
    world.ship()

    proof = prove(world, damaged.label)
    result = world.recover("latest")

    assert sound.matched, sound.differences
    assert not proof.matched
    assert any("in_own_order" in difference and "order" in difference for difference in proof.differences)
    assert result.relations_checked
    assert any("in_own_order" in one and "REINDEX" in one for one in result.warnings)
