"""Proofs of base backups: they come from a real recovery, and say what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.commands.progress import Silent
from backstop.commands.proof.base import verify_base_backup
from backstop.commands.questions import Query
from backstop.model.backup import BackupLabel
from tests.protection import utc_now
from tests.recovery_world import ALSO_15

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
