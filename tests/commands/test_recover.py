"""Point-in-time recovery from a repository: exactly what was committed by then, or nothing at all."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.commands.database.swap import ApplicationCommands
from backstop.commands.questions import Query
from backstop.commands.recovery.cut_over import cut_over
from backstop.errors import CommandError, IntegrityError, RestoreError, VerificationError
from backstop.model.backup import BackupKind
from backstop.model.recovery import RecoveryTarget
from tests.protection import utc_now
from tests.recovery_world import ALSO_15, numbers

if TYPE_CHECKING:
    from tests.recovery_world import World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@ALSO_15
def test_a_moment_comes_back_from_the_repository_and_nothing_later(world: World) -> None:
    ledger = world.source.ledger
    ledger.write(5)
    world.backups.take()
    ledger.write(10)
    world.source.switch()
    ledger.write(10)
    world.ship()

    result = world.recover(ledger.moments[12].isoformat())

    assert world.ledger(world.out / "clone") == numbers(12)
    assert result.timeline == 2
    assert result.pages_checked is not None
    assert [path.name for path in world.out.iterdir()] == [".backstop", "clone"]
    assert list((world.out / ".backstop").iterdir()) == []
    assert (world.out / "clone").stat().st_mode & 0o777 == 0o700


def test_the_latest_includes_the_tail_and_a_second_recovery_takes_another_timeline(world: World) -> None:
    ledger = world.source.ledger
    world.backups.take()
    ledger.write(10)
    world.ship()

    first = world.recover("latest")

    assert world.ledger(world.out / "clone") == numbers(10)
    assert first.timeline == 2
    history = world.out / "clone/pg_wal/00000002.history"
    (world.source.wal / history.name).write_bytes(history.read_bytes())
    world.ship()

    second = world.restore(destination=world.out / "second")
    goal = RecoveryTarget.parse(f"lsn:{ledger.positions[5]}", timeline=1, inclusive=False)
    result = second.run(second.plan(goal))

    assert result.timeline == 3
    assert world.ledger(world.out / "second") == numbers(5)


def test_a_time_after_the_last_commit_is_refused_before_anything_is_restored(world: World) -> None:
    world.backups.take()
    world.source.ledger.write(3)
    world.ship()

    with pytest.raises(RestoreError, match=r"latest|nearest"):
        world.recover((utc_now() + timedelta(hours=1)).isoformat())

    assert world.untouched()


def test_a_time_before_the_first_base_backup_is_refused(world: World) -> None:
    world.source.ledger.write(3)
    world.backups.take()
    world.ship()

    with pytest.raises(RestoreError):
        world.recover(world.source.ledger.moments[1].isoformat())

    assert world.untouched()


def test_a_damaged_segment_stops_the_recovery_and_leaves_nothing(world: World) -> None:
    world.backups.take()
    world.source.ledger.write(3)
    world.source.switch()
    world.source.ledger.write(3)
    world.ship()
    first = sorted((world.folder / "repository/calibrify/data/wal").rglob("0*-*"))[-1]
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    first.chmod(0o600)
    first.write_bytes(content)

    with pytest.raises(IntegrityError):
        world.recover("latest")

    assert world.untouched()


def test_a_probe_that_is_not_answered_as_expected_leaves_nothing(world: World) -> None:
    world.backups.take()
    world.source.ledger.write(3)
    world.ship()

    with pytest.raises(VerificationError, match="rows"):
        world.recover("latest", queries=[Query("SELECT count(*) FROM ledger", 4, "rows")])

    assert world.untouched()


@ALSO_15
def test_two_tablespaces_come_back_below_the_given_directory_alone(world: World) -> None:
    places = [world.folder / name for name in ("one", "two")]
    for place in places:
        place.mkdir()
        os.chown(place, world.source.server.data.stat().st_uid, -1)
        with world.source.server.connect() as session:
            session.execute(f"CREATE TABLESPACE {place.name} LOCATION '{place}'")
            session.execute(f"CREATE TABLE in_{place.name} TABLESPACE {place.name} AS SELECT 1 AS n")
    before = [sorted(str(path) for path in place.rglob("*")) for place in places]
    world.backups.take()
    world.source.ledger.write(3)
    world.ship()

    result = world.recover("latest", queries=[Query("SELECT n FROM in_two", 1, "two")])

    assert len(result.tablespaces) == 2
    links = list((world.out / "clone/pg_tblspc").iterdir())
    assert {str(link.readlink().parent) for link in links} == {str(world.out / "clone-tablespaces")}
    assert [sorted(str(path) for path in place.rglob("*")) for place in places] == before


def test_an_incremental_chain_comes_back_as_one_data_directory(world: World) -> None:
    if world.source.major < 17:
        pytest.skip("incremental base backups came with PostgreSQL 17")
    world.backups.take()
    world.source.ledger.write(5)
    world.backups.take(BackupKind.INCREMENTAL)
    world.source.ledger.write(5)
    world.ship()

    result = world.recover("latest")

    assert len(result.chain) == 2
    assert world.ledger(world.out / "clone") == numbers(10)


def test_a_cut_over_keeps_the_former_data_and_is_undone_when_the_start_fails(world: World) -> None:
    world.backups.take()
    world.source.ledger.write(3)
    world.ship()
    result = world.recover("latest")
    live = world.out / "live"
    live.mkdir()
    os.chown(live, (world.out / "clone").stat().st_uid, -1)
    (live / "PG_VERSION").write_text("the former one")
    here = f"test -f {live}/global/pg_control"

    with pytest.raises(CommandError):
        cut_over(
            result,
            live=live,
            cluster=ApplicationCommands(probe=[["false"]]),
            now=utc_now(),
        )
    assert (live / "PG_VERSION").read_text() == "the former one"
    assert (world.out / "clone/global/pg_control").exists()
    assert "archive_mode = off" in (world.out / "clone/postgresql.auto.conf").read_text()

    outcome = cut_over(
        result, live=live, cluster=ApplicationCommands(probe=[["sh", "-c", here]]), now=utc_now()
    )

    assert outcome.kept
    assert "archive_mode = off" not in (live / "postgresql.auto.conf").read_text()
    with pytest.raises(RestoreError, match="has been put in place already"):
        cut_over(result, live=live, cluster=ApplicationCommands(), now=utc_now())
