"""Continuous archiving watched from outside: loss is measured at the repository, whatever the slot says."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.watch.archiving import look_at_archiving
from backstop.errors import StorageUnavailableError
from backstop.model.finding import Level
from backstop.model.observation import Observation, WalSeen
from backstop.repository.catalog import Catalog, Repository
from backstop.storage.base import ObjectInfo
from backstop.storage.memory import MemoryStorage
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from tests.commands.archiving import SLOT, TARGET, Protected, wait_for
from tests.protection import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backstop.commands.watch.part import Part

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("watched_server"), pytest.mark.timeout(120)]

OBJECTIVE = timedelta(minutes=5)
SETTINGS = {
    "max_slot_wal_keep_size": "64MB",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
    "checkpoint_timeout": "1h",
}


class Forgetful(MemoryStorage):
    """Acknowledges, and while ``dropping`` keeps nothing."""

    dropping = False

    def put_once(self, key: str, data: bytes) -> ObjectInfo:
        return ObjectInfo(key, len(data), utc_now()) if self.dropping else super().put_once(key, data)

    def upload(self, key: str, source: Any) -> ObjectInfo:
        return self.put_once(key, source if isinstance(source, bytes) else source.read_bytes())


class Silent(MemoryStorage):
    def list(self, prefix: str) -> Any:
        raise StorageUnavailableError(f"{self.location} does not answer")


@pytest.fixture(scope="module")
def server(servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(
        servers_directory / "watched",
        bin_dir=pip_postgres_bin(18),
        settings=SETTINGS,
        durable=False,
        die_with_parent=True,
    ) as server:
        yield server


@pytest.fixture
def protected(folder: Path, server: EmbeddedPostgres) -> Iterator[Protected]:
    protected = Protected(folder, server, local=Forgetful("local"))
    protected.run("CREATE TABLE IF NOT EXISTS filling (content text)")
    yield protected
    protected.run("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


def look(protected: Protected, *, later: timedelta = timedelta(0), **changes: Any) -> Part:
    given: dict[str, Any] = {
        "target": TARGET,
        "cluster": protected.server.connection(),
        "repositories": [
            Repository(name, storage, Catalog(storage, TARGET, trust=None))  # type: ignore[arg-type]
            for name, storage in protected.storages.items()
        ],
        "slot": SLOT,
        "objective": OBJECTIVE,
        "slot_share": 0.5,
        "clock": lambda: utc_now() + later,
        "patience": timedelta(seconds=1),
        **changes,
    }
    return look_at_archiving(**given)


def found(part: Part) -> dict[tuple[str, str], Level]:
    return {(one.check, one.subject): one.level for one in part.findings}


def wal(part: Part) -> WalSeen:
    (seen,) = part.seen
    assert isinstance(seen, WalSeen)
    return seen


def archive(protected: Protected, mebibytes: int = 2) -> None:
    """WAL that is stored everywhere; the archiver is gone afterwards."""
    with protected.archiver():
        wait_for("the slot", lambda: protected.ask("SELECT count(*) FROM pg_replication_slots"))
        write(protected, mebibytes)
        protected.wait_until_archived(protected.position())


def write(protected: Protected, mebibytes: int) -> None:
    """So much WAL, without data that anybody has to make up."""
    protected.run(
        "SET synchronous_commit = on",  # what is not flushed, nobody has
        "SELECT pg_logical_emit_message(false, 'watch', repeat('x', 1000000)) "
        f"FROM generate_series(1, {mebibytes})",
        "INSERT INTO filling VALUES ('and a commit')",
    )


def observed(part: Part, *, ago: timedelta = timedelta(0)) -> Observation:
    return Observation(TARGET, utc_now() - ago, 0.1, wal=wal(part))


def test_an_archiver_that_works_shows_seconds_while_the_server_is_written_to(protected: Protected):
    stop = threading.Event()

    def keep_writing() -> None:
        while not stop.wait(0.05):
            protected.run("INSERT INTO filling VALUES (md5(random()::text))")

    with protected.archiver():
        wait_for("the slot", lambda: protected.ask("SELECT count(*) FROM pg_replication_slots"))
        writing = threading.Thread(target=keep_writing)
        writing.start()
        try:
            part = wait_for(
                "a look without findings",
                lambda: (
                    (part := look(protected, patience=timedelta(seconds=10))) and not part.findings and part
                ),
            )
        finally:
            stop.set()
            writing.join()

    assert timedelta(0) <= wal(part).observed_rpo["local"] < timedelta(seconds=15)
    assert wal(part).slot is not None
    assert wal(part).slot.state == "active"
    assert wal(part).slot.limit_bytes == 64 * 1024**2
    assert part.unjudged == frozenset()


def test_an_idle_database_is_no_alarm_however_long_ago_it_was_written_to(protected: Protected):
    with protected.archiver():
        wait_for("the slot", lambda: protected.ask("SELECT count(*) FROM pg_replication_slots"))
        write(protected, 2)
        protected.wait_until_archived(protected.position())

        part = wait_for(
            "nothing lost",
            lambda: (
                (part := look(protected, later=timedelta(days=3)))
                and wal(part).observed_rpo["local"] == timedelta(0)
                and part
            ),
        )

    assert part.findings == ()
    assert wal(part).behind_bytes == {"local": 0}


def test_without_a_receiver_the_loss_grows_from_warning_to_critical_and_the_slot_is_named(
    protected: Protected,
):
    archive(protected)
    before = observed(look(protected, patience=timedelta(0)), ago=timedelta(minutes=1))
    write(protected, 1)

    early = look(protected, later=timedelta(minutes=3), earlier=before)
    late = look(protected, later=timedelta(minutes=30), earlier=before)

    assert found(early) == {
        ("rpo", "repository local"): Level.WARNING,
        ("slot", f"slot {SLOT}"): Level.WARNING,
    }
    assert found(late)["rpo", "repository local"] is Level.CRITICAL
    assert timedelta(minutes=30) < wal(late).observed_rpo["local"] < timedelta(minutes=33)
    sentence = next(one for one in late.findings if one.check == "slot").sentence
    assert sentence.startswith(f"nobody receives from slot {SLOT} of ")

    with protected.archiver():
        wait_for("nothing to say", lambda: not look(protected, patience=timedelta(seconds=10)).findings)


def test_an_archiver_that_acknowledges_and_drops_is_found_at_once_and_once(protected: Protected):
    local = protected.storages["local"]
    assert isinstance(local, Forgetful)
    with protected.archiver():
        wait_for("the slot", lambda: protected.ask("SELECT count(*) FROM pg_replication_slots"))
        write(protected, 20)
        protected.wait_until_archived(protected.position())
        local.dropping = True
        write(protected, 36)
        stored = protected.archived_until()
        wait_for("everything acknowledged", lambda: protected.slot_position() > stored + 16 * 1024**2)

        part = look(protected, patience=timedelta(seconds=2))

        assert found(part) == {("rpo", "archiver"): Level.CRITICAL}
        assert "acknowledged and dropped" in part.findings[0].sentence
        assert ("rpo", "repository local") in part.unjudged
        assert wal(part).observed_rpo["local"] > timedelta(0)

        local.dropping = False
        write(protected, 40)
        wait_for("an end of it", lambda: not look(protected, patience=timedelta(seconds=10)).findings)


def test_wal_that_is_dropped_to_the_end_of_a_segment_is_no_repository_in_step(protected: Protected):
    local = protected.storages["local"]
    assert isinstance(local, Forgetful)
    archive(protected, 20)
    local.dropping = True
    with protected.archiver():
        protected.run("INSERT INTO filling VALUES ('dropped')", "SELECT pg_switch_wal()")
        wait_for("the slot at the end", lambda: protected.slot_position() >= protected.position())

        part = look(protected, patience=timedelta(seconds=2))

    assert found(part) == {("rpo", "archiver"): Level.CRITICAL}
    assert wal(part).observed_rpo["local"] > timedelta(0)


def test_a_slot_that_fills_is_a_warning_then_critical_then_lost_and_gone_once_received(protected: Protected):
    archive(protected)
    write(protected, 36)
    warned = look(protected)
    write(protected, 17)
    urgent = look(protected)
    with protected.archiver():
        protected.wait_until_archived(protected.position())
        cleared = wait_for("nothing to say", lambda: (part := look(protected)) and not part.findings and part)
    write(protected, 100)
    protected.run("CHECKPOINT", "SELECT pg_switch_wal()", "CHECKPOINT")
    lost = look(protected)

    key = ("slot", f"slot {SLOT}")
    assert found(warned)[key] is Level.WARNING
    assert found(urgent)[key] is Level.CRITICAL
    assert "of what max_slot_wal_keep_size allows" in urgent.findings[-1].sentence
    assert cleared.findings == ()
    assert found(lost)[key] is Level.CRITICAL
    assert "has given up slot" in next(one for one in lost.findings if one.check == "slot").sentence
    assert wal(lost).slot is not None
    assert wal(lost).slot.state == "lost"


def test_a_slot_that_is_gone_is_critical_and_the_loss_is_told_all_the_same(protected: Protected):
    archive(protected)
    protected.run(f"SELECT pg_drop_replication_slot('{SLOT}')")

    gone = look(protected)

    assert found(gone)["slot", f"slot {SLOT}"] is Level.CRITICAL
    assert "has no slot" in gone.findings[-1].sentence
    assert wal(gone).observed_rpo["local"] is not None


def test_a_slot_without_bound_is_said_under_a_name_of_its_own(folder: Path, postgres18: EmbeddedPostgres):
    protected = Protected(folder, postgres18, local=MemoryStorage("local"))
    protected.run("SELECT pg_create_physical_replication_slot('unbounded', true)")

    part = look(protected, slot="unbounded", patience=timedelta(0))

    protected.run("SELECT pg_drop_replication_slot('unbounded')")
    assert found(part)["slot", "max_slot_wal_keep_size"] is Level.WARNING
    assert wal(part).slot is not None
    assert wal(part).slot.limit_bytes is None


def test_a_repository_that_is_silent_is_not_judged_and_the_others_are(protected: Protected):
    archive(protected)
    protected.storages["s3"] = Silent("s3")
    protected.storages["new"] = MemoryStorage("new")

    part = look(protected, patience=timedelta(0))

    assert ("rpo", "repository s3") in part.unjudged
    assert not any("s3" in one.subject for one in part.findings)
    assert found(part)["rpo", "repository new"] is Level.CRITICAL
    assert wal(part).observed_rpo["new"] is None
    assert any("s3" in sentence for sentence in part.unseen)


def test_a_server_that_refuses_the_role_is_critical_and_its_password_is_in_no_sentence(protected: Protected):
    cluster = replace(protected.server.connection(), password="hunter2-hunter2")

    part = look(protected, cluster=cluster)

    assert found(part) == {("source", "replication"): Level.CRITICAL}
    assert "hunter2" not in str(part)
    assert {("rpo", "*"), ("slot", "*")} == part.unjudged


def test_a_role_that_may_not_replicate_is_critical_and_told_what_it_lacks(protected: Protected):
    protected.server.create_role("watch_only")
    cluster = protected.server.connection(user="watch_only")

    part = look(protected, cluster=cluster)

    assert found(part) == {("source", "replication"): Level.CRITICAL}
    assert "REPLICATION attribute" in part.findings[0].next_step


def test_a_silent_server_is_a_warning_until_it_may_have_been_written_to_for_too_long(protected: Protected):
    archive(protected)
    before = observed(look(protected, patience=timedelta(0)))
    nobody = replace(protected.server.connection(), host="127.0.0.1", port=1)

    soon = look(protected, cluster=nobody, earlier=before, later=timedelta(minutes=10))
    late = look(protected, cluster=nobody, earlier=before, later=timedelta(minutes=20))

    assert found(soon) == {("source", "replication"): Level.WARNING}
    assert found(late) == {("source", "replication"): Level.CRITICAL}
    assert timedelta(minutes=20) <= wal(late).observed_rpo["local"] < timedelta(minutes=30)
    assert "would be lost" in late.findings[0].sentence


def test_a_server_that_was_silent_for_a_while_is_not_taken_to_have_written_nothing_meanwhile(
    protected: Protected,
):
    archive(protected)
    before = observed(look(protected, patience=timedelta(0)))
    nobody = replace(protected.server.connection(), host="127.0.0.1", port=1)
    silent = observed(look(protected, cluster=nobody, earlier=before, later=timedelta(hours=1)))
    write(protected, 1)

    heard = look(
        protected,
        earlier=replace(silent, observed_at=silent.observed_at + timedelta(hours=1)),
        later=timedelta(minutes=65),
        patience=timedelta(0),
    )

    loss = wal(heard).observed_rpo.get("local")
    assert loss is None or loss >= timedelta(minutes=60)


def test_a_look_ends_when_its_patience_does_though_nobody_archives(protected: Protected):
    archive(protected)
    write(protected, 1)

    part = look(protected, patience=timedelta(seconds=1))

    assert wal(part).behind_bytes["local"] > 0
