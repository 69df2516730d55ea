"""How far repositories are behind their server, as somebody who only looks finds out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.commands.wal.watch import BACKLOG_BYTES, ArchivingSeen, Lag, observe_archiving
from backstop.errors import StorageUnavailableError, WalLostError
from backstop.model.lsn import Lsn
from backstop.repository.catalog import Catalog, Repository
from backstop.storage.memory import MemoryStorage
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from tests.commands.archiving import SLOT, TARGET, Protected, wait_for
from tests.protection import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

OBJECTIVE = timedelta(minutes=5)


class Gone(MemoryStorage):
    """A repository that cannot be reached."""

    def list(self, prefix):
        raise StorageUnavailableError(f"{self.location} does not answer")


@pytest.fixture
def protected(folder: Path) -> Iterator[Protected]:
    """Its server gives a slot up that would keep more than 32 MB."""
    settings = {"max_slot_wal_keep_size": "32MB", "max_wal_size": "64MB", "min_wal_size": "32MB"}
    with EmbeddedPostgres(
        folder / "pg", bin_dir=pip_postgres_bin(18), settings=settings, durable=False, die_with_parent=True
    ) as server:
        yield Protected(folder, server, s3=MemoryStorage())


def test_how_old_a_backlog_is_nobody_claims_to_know():
    behind = {
        name: Lag(Lsn(0), behind_bytes, timedelta(seconds=1))
        for name, behind_bytes in (("local", BACKLOG_BYTES), ("s3", BACKLOG_BYTES - 1))
    }
    seen = ArchivingSeen(utc_now(), 1, Lsn(BACKLOG_BYTES), 0, behind)

    (late,) = seen.beyond(OBJECTIVE)
    assert f"local is {BACKLOG_BYTES} bytes behind" in late


def observe(protected: Protected, *, later: timedelta = timedelta(0), slot: str = SLOT) -> ArchivingSeen:
    return observe_archiving(
        target=TARGET,
        cluster=protected.server.connection(),
        repositories=[
            Repository(name, storage, Catalog(storage, TARGET, trust=None))
            for name, storage in protected.storages.items()
        ],
        slot=slot,
        now=lambda: utc_now() + later,
    )


def in_step(protected: Protected) -> ArchivingSeen:
    """What is seen once every repository has what the server has."""

    wait_for("the slot", lambda: protected.ask("SELECT count(*) FROM pg_replication_slots"))

    def look() -> ArchivingSeen | None:
        seen = observe(protected)
        return seen if not any(lag.behind_bytes for lag in seen.lags.values()) else None

    return wait_for("every repository in step", look, seconds=60)


def test_repositories_in_step_lose_nothing_however_long_ago_they_were_written_to(protected: Protected):
    with protected.archiver():
        protected.write_wal(1.2)
        seen = in_step(protected)

    assert {name: lag.observed_rpo for name, lag in seen.lags.items()} == {
        "local": timedelta(0),
        "s3": timedelta(0),
    }
    assert all(lag.position >= seen.server_position for lag in seen.lags.values())
    assert seen.beyond(timedelta(0)) == []
    assert seen.to_dict()["repositories"]["s3"]["observed_rpo_seconds"] == 0


def test_without_a_receiver_they_fall_behind_until_the_objective_is_missed(protected: Protected):
    with protected.archiver():
        protected.write_wal(0.2)
        in_step(protected)
    protected.run("INSERT INTO filling VALUES ('not stored')", "SELECT pg_switch_wal()")
    protected.run("INSERT INTO filling VALUES ('not stored either')", "CHECKPOINT")

    soon, later = observe(protected), observe(protected, later=timedelta(minutes=10))

    lag = soon.lags["local"]
    assert lag.behind_bytes == soon.server_position - lag.position > 0
    assert timedelta(0) < lag.observed_rpo < timedelta(minutes=1)
    assert soon.beyond(OBJECTIVE) == []
    assert later.lags["s3"].observed_rpo > timedelta(minutes=10)
    said = later.beyond(OBJECTIVE)
    assert [sentence.split(" is ")[0] for sentence in said] == ["repository local", "repository s3"]
    assert "would be lost, and 300 s may be" in said[0]
    assert later.beyond(None) == []
    assert any("local has all before" in sentence for sentence in later.sentences())


def test_a_missing_slot_is_lost_wal_whatever_the_repositories_have(protected: Protected):
    with protected.archiver():
        protected.write_wal(0.2)
        in_step(protected)

    with pytest.raises(WalLostError, match="has no slot nobody") as refused:
        observe(protected, slot="nobody")
    assert "--recreate-slot" in refused.value.hint


def test_a_slot_that_the_server_has_given_up_is_said_to_be(protected: Protected):
    with protected.archiver():
        protected.write_wal(0.2)
        in_step(protected)
    protected.write_wal(8)
    protected.run("CHECKPOINT", "SELECT pg_switch_wal()", "CHECKPOINT")
    assert protected.ask("SELECT wal_status FROM pg_replication_slots") == "lost"

    with pytest.raises(WalLostError, match=f"has given up slot {SLOT}"):
        observe(protected)


def test_a_repository_out_of_reach_is_named_and_the_others_are_judged(protected: Protected):
    with protected.archiver():
        protected.write_wal(0.2)
        in_step(protected)
    protected.storages["s3"] = Gone()
    protected.storages["new"] = MemoryStorage()

    seen = wait_for(
        "local in step",
        lambda: (found := observe(protected)) and not found.lags["local"].behind_bytes and found,
    )

    assert list(seen.failed) == ["s3"]
    assert seen.lags["new"].observed_rpo is None
    late = seen.beyond(OBJECTIVE)
    assert late[0].startswith("repository s3 did not answer: ")
    assert late[1:] == ["repository new has no WAL of this cluster"]
    assert seen.to_dict()["repositories"]["new"]["observed_rpo_seconds"] is None


def test_after_a_promotion_the_wal_of_both_timelines_counts(protected: Protected):
    with protected.archiver():
        protected.write_wal(1.2)
        in_step(protected)
    protected.server.stop()
    (protected.server.data / "standby.signal").touch()
    protected.server.start()
    protected.run("SELECT pg_promote()")
    with protected.archiver():
        protected.write_wal(0.2)
        seen = in_step(protected)

    assert seen.timeline == 2
    assert seen.beyond(timedelta(0)) == []
