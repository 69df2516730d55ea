"""Restore points and transactions are found in stored WAL first: what is not there is refused, unfetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.commands.recovery import stored_wal
from backstop.errors import RecoveryImpossibleError
from backstop.model.lsn import DEFAULT_SEGMENT_BYTES, Lsn
from backstop.model.recovery import RecoveryTarget
from tests.recovery_world import ALSO_15, numbers, running_world

if TYPE_CHECKING:
    from pathlib import Path

    from tests.recovery_world import World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def restore_point(world: World, name: str) -> None:
    with world.source.server.connect() as session:
        session.execute("SELECT pg_create_restore_point(%s)", [name])


def refused(world: World, goal: str) -> RecoveryImpossibleError:
    with pytest.raises(RecoveryImpossibleError) as caught:
        world.restore().plan(RecoveryTarget.parse(goal))
    assert world.untouched()
    nearest = caught.value.nearest
    assert nearest is not None
    world.restore().plan(nearest)
    return caught.value


@ALSO_15
def test_a_name_leads_to_the_newest_of_its_name_and_a_wrong_one_names_the_nearest(world: World) -> None:
    ledger = world.source.ledger
    world.backups.take()
    ledger.write(2)
    restore_point(world, "before deploy")
    ledger.write(3)
    world.source.switch()
    restore_point(world, "before deploy")
    ledger.write(4)
    world.source.switch()
    world.ship()

    error = refused(world, "name:before the deploy")
    result = world.recover("name:before deploy")

    assert "no restore point of that name is in the WAL that is stored" in error.message
    assert "nearest possible is name:before deploy" in error.hint
    assert world.ledger(world.out / "clone") == numbers(5)
    assert "recovery stopping after WAL location" in result.stopped


def test_transactions_are_met_by_their_own_numbers_and_what_is_none_is_refused(folder: Path) -> None:
    with running_world(folder, 18, max_prepared_transactions="5") as world:
        ledger = world.source.ledger
        world.backups.take()
        ledger.write(5)
        with world.source.server.connect() as session:
            with session.transaction():
                session.execute("CREATE TABLE parts (n int)")
                whole = session.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()[0]
                with session.transaction():
                    session.execute("INSERT INTO parts VALUES (1)")
                    part = session.execute("SELECT xmin::text::bigint FROM parts").fetchone()[0]
            session.execute("BEGIN")
            session.execute("INSERT INTO ledger VALUES (6)")
            prepared = session.execute("SELECT pg_current_xact_id()::text").fetchone()[0]
            session.execute("PREPARE TRANSACTION 'six'")
            session.execute("INSERT INTO ledger VALUES (7)")
            session.execute("COMMIT PREPARED 'six'")
            session.execute("INSERT INTO ledger VALUES (8)")
        world.ship()

        of_a_part = refused(world, f"xid:{part}")
        unborn = refused(world, f"xid:{int(prepared) + 1000}")
        world.recover(f"xid:{ledger.transactions[4]}", inclusive=False)
        world.recover(f"xid:{prepared}", destination=world.out / "prepared")

        assert part != whole
        assert f"it is a part of transaction {whole}" in of_a_part.message
        assert str(of_a_part.nearest) == f"xid:{whole}"
        assert "was not begun by then, or under way" in unborn.message
        # What the receiver was waited for with is one, too, and the insert of 8 before it.
        assert str(unborn.nearest) == f"xid:{int(prepared) + 3}"
        assert world.ledger(world.out / "clone") == numbers(3)
        assert world.ledger(world.out / "prepared") == numbers(7)


def test_a_restore_point_that_begins_in_one_segment_and_ends_in_the_next_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_wal, "_TOGETHER_BYTES", DEFAULT_SEGMENT_BYTES)
    with running_world(folder, 18, autovacuum="off") as world:
        world.backups.take()
        begins = _straddling_restore_point(world)
        world.source.ledger.write(1)
        world.source.switch()
        world.source.ledger.write(1)
        world.ship()

        plan = world.restore().plan(RecoveryTarget.parse("name:between"))

        assert plan.stop_lsn == begins


def _straddling_restore_point(world: World) -> Lsn:
    """Where it begins, a few bytes before the end of a segment."""
    with world.source.server.connect() as session:

        def position() -> Lsn:
            return Lsn.parse(session.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0])

        def fill(size_bytes: int) -> None:
            session.execute("SELECT pg_logical_emit_message(false, 'x', repeat('x', %s))", [size_bytes])

        for _ in range(20):
            left = DEFAULT_SEGMENT_BYTES - position().position % DEFAULT_SEGMENT_BYTES
            while left > 8000:
                # Some bytes of each page are its header.
                fill(max(16, int(left * 0.99) - 7000))
                left = DEFAULT_SEGMENT_BYTES - position().position % DEFAULT_SEGMENT_BYTES
            if left > 140:
                fill(left - 120)
            begins = position()
            session.execute("SELECT pg_create_restore_point('between')")
            ends = position()
            edge = (begins.position // DEFAULT_SEGMENT_BYTES + 1) * DEFAULT_SEGMENT_BYTES
            if begins.position < edge < ends.position:
                return begins
            session.execute("SELECT pg_switch_wal()")
    raise AssertionError("no restore point came to lie across two segments")
