"""Repositories that are lost or attacked, and objectives that are met or missed, told apart."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.drill.drill import Drill
from backstop.model.backup import BackupLabel
from backstop.model.drill_rotation import scenarios_of
from backstop.model.lsn import Lsn, WalSegment
from backstop.model.scenario import Loss
from tests.drill_world import TREES, Around, DrillWorld
from tests.protection import s3_corner, utc_now
from tests.recovery_world import numbers, running_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.commands.drill.settings import DrillSettings
    from backstop.model.drill import DrillRecord
    from backstop.storage.base import Storage
    from embedded.seaweedfs import EmbeddedSeaweedFS
    from tests.recovery_world import World

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(300)]

EVERY = [str(one) for one in scenarios_of(database=True, trees=TREES, repositories=["local", "s3"])]


@pytest.fixture(scope="module")
def attacked(seaweedfs: EmbeddedSeaweedFS) -> Iterator[DrillWorld]:
    """Proven backups, unproven ones that an attacker has spoiled in both repositories, then the attack."""
    folder = Path(tempfile.mkdtemp(prefix="backstop-"))
    folder.chmod(0o711)
    with running_world(folder, 18) as world:
        made = DrillWorld(world, s3=s3_corner(seaweedfs))
        world.source.ledger.write(5)
        made.proven = {"base": world.backups.take().label, **made.back_up_trees()}
        world.ship()
        for label in made.proven.values():
            for repository in made.names:
                assert made.prove(label, repository).matched
        made.write(3)
        made.spoiled = {"base": world.backups.take().label, **made.back_up_trees()}
        world.source.switch()
        world.ship()
        made.attacked_at = _the_next_second()
        made.write(3)
        world.ship()
        yield made
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def drills(attacked: DrillWorld) -> DrillWorld:
    attacked.around = Around()
    attacked.opened.clear()
    assert attacked.leftovers() == []
    return attacked


def _the_next_second() -> datetime:
    """S3 keeps whole seconds: from then on nothing of before looks as if it came later."""
    begun = utc_now().replace(microsecond=0) + timedelta(seconds=1)
    while utc_now() < begun:
        pass
    return begun


class Spoiled:
    """A storage in which objects of some backups are other bytes, as whoever encrypts disks leaves them."""

    def __init__(self, storage: Storage, labels: list[str]) -> None:
        self._storage, self._labels = storage, labels

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def open(self, key: str, **version: Any) -> Any:
        if "/data/" in key and any(label in key for label in self._labels):
            import io
            from contextlib import nullcontext

            with self._storage.open(key, **version) as stream:
                return nullcontext(io.BytesIO(bytes(byte ^ 0xFF for byte in stream.read())))
        return self._storage.open(key, **version)


def seeing(drills: DrillWorld) -> dict[str, Any]:
    """What comes back."""
    seen: dict[str, Any] = {}

    def look(plan: Any, restored: Any) -> tuple[()]:
        for one in restored:
            tree = one.component.removeprefix("tree:")
            if not one.failure:
                seen[one.component] = (
                    drills.ledger(one) if one.component == "base" else drills.files(one, tree)
                )
        return ()

    drills.around.checks = look
    return seen


def run(drills: DrillWorld, scenario: str, **settings: Any) -> DrillRecord:
    one = drills.drill(**settings)
    return one.run(one.plan(scenario=scenario, moment=drills.attacked_at))


def test_after_ransomware_the_last_that_was_proven_before_it_comes_back(
    drills: DrillWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    storages = drills.protection.storages
    spoiled = {name: Spoiled(one, list(drills.spoiled.values())) for name, one in storages.items()}
    monkeypatch.setattr(drills.protection, "storages", spoiled)
    seen = seeing(drills)

    newest = run(drills, "database")
    record = run(drills, "ransomware")

    assert newest.components[0].label == drills.spoiled["base"]
    assert newest.components[0].failure
    assert {one.component: one.label for one in record.components} == {
        "base": drills.proven["base"],
        "tree:config": drills.proven["config"],
        "tree:media": drills.proven["media"],
    }
    assert record.passed
    # All WAL that had been stored by then is trusted, and nothing that came later.
    assert seen == {"base": numbers(8), "tree:config": ["first.txt"], "tree:media": ["first.txt"]}
    assert record.components[1].recovered_to <= drills.attacked_at
    assert drills.leftovers() == []


@pytest.mark.usefixtures("wal_times")
def test_wal_that_was_stored_after_an_attack_is_not_trusted_whatever_it_holds(drills: DrillWorld) -> None:
    manifest = (
        drills.protection.repository("local").catalog.backup(BackupLabel(drills.proven["base"])).manifest
    )
    last = WalSegment.containing(Lsn.parse(str(manifest.end_lsn)) - 1, timeline=1).name
    late = (drills.attacked_at + timedelta(hours=1)).timestamp()
    root = drills.folder / "repository" / drills.protection.target
    for path in [*(root / "data/wal").rglob("*"), *(root / "tail").rglob("*")]:
        segment = path.name[:24] if "data/wal" in str(path) else path.parent.name
        if path.is_file() and segment > last:
            os.utime(path, (late, late))
    settings = replace(drills.settings(), trees={})
    settings = replace(settings, database=replace(settings.database, repositories=("local",)))
    seen = seeing(drills)

    record = measured(drills, settings, "ransomware")

    assert record.components[0].failure == ""
    assert seen["base"] == numbers(5)


def test_a_lost_repository_gets_no_call_and_the_other_brings_everything_back(drills: DrillWorld) -> None:
    seen = seeing(drills)

    record = run(drills, "repository:local")

    assert record.passed
    assert {one.repository for one in record.components} == {"s3"}
    assert set(drills.opened) == {"s3"}
    assert seen["base"] == numbers(8)
    assert seen["tree:media"] == ["2.txt", "first.txt"]
    assert drills.leftovers() == []


class Clock:
    """Real time, and what slow storage takes of it."""

    def __init__(self) -> None:
        self.late = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self.late


class Slow:
    """A storage in which every object takes a minute to come."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage, self._clock = storage, clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def open(self, key: str, **version: Any) -> Any:
        self._clock.late += timedelta(minutes=1)
        return self._storage.open(key, **version)


def with_objectives(drills: DrillWorld, *, rto: timedelta, rpo: timedelta) -> DrillSettings:
    settings = drills.settings()
    trees = {name: replace(one, rto=rto, rpo=rpo) for name, one in settings.trees.items()}
    return replace(settings, database=replace(settings.database, rto=rto, rpo=rpo), trees=trees)


def measured(drills: DrillWorld, settings: DrillSettings, scenario: str, clock: Any = utc_now) -> DrillRecord:
    one = drills.drill()
    one = Drill(settings, one.open_repository, one.keyring, drills.around, clock, one.progress, attended=True)
    return one.run(one.plan(scenario=scenario, moment=drills.attacked_at))


def test_a_slow_repository_misses_the_rto_and_no_rpo(
    drills: DrillWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    storages = drills.protection.storages
    monkeypatch.setattr(drills.protection, "storages", {**storages, "s3": Slow(storages["s3"], clock)})
    settings = with_objectives(drills, rto=timedelta(minutes=2), rpo=timedelta(hours=1))

    fast = measured(drills, settings, "repository:s3")
    slow = measured(drills, settings, "repository:local", clock)

    assert fast.objectives_met is True
    assert slow.passed
    assert slow.objectives_met is False
    [base] = [one for one in slow.components if one.component == "base"]
    assert (base.rto_met, base.rpo_met) == (False, True)
    fetch = next(one for one in base.phases if one.name == "fetch")
    assert fetch.seconds > 60
    assert drills.leftovers() == []


def stored_at(drills: DrillWorld, moment: datetime) -> None:
    """Let all WAL of the directory have been stored then."""
    root = drills.folder / "repository" / drills.protection.target
    for folder in (root / "data/wal", root / "tail"):
        for path in folder.rglob("*"):
            if path.is_file():
                os.utime(path, (moment.timestamp(), moment.timestamp()))


@pytest.fixture
def wal_times(drills: DrillWorld) -> Iterator[None]:
    """As they were, afterwards."""
    root = drills.folder / "repository" / drills.protection.target
    paths = [path for path in root.rglob("*") if path.is_file()]
    before = {path: path.stat() for path in paths}
    yield
    for path, found in before.items():
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.usefixtures("wal_times")
def test_wal_that_was_stored_late_misses_the_rpo_and_no_rto_though_nothing_is_missing_now(
    drills: DrillWorld,
) -> None:
    settings = with_objectives(drills, rto=timedelta(hours=1), rpo=timedelta(hours=1))
    close = replace(settings.database, rpo=timedelta(milliseconds=1), repositories=("local",))
    settings = replace(settings, database=close)
    seen = seeing(drills)

    stored_at(drills, drills.attacked_at - timedelta(microseconds=500))
    in_time = measured(drills, settings, "database").components[0]
    stored_at(drills, drills.attacked_at + timedelta(hours=1))
    late = measured(drills, settings, "database").components[0]

    assert seen["base"] == numbers(8)
    assert (in_time.rto_met, in_time.rpo_met) == (True, True)
    assert in_time.loss == timedelta(0)
    assert (late.rto_met, late.rpo_met) == (True, False)
    assert late.loss > timedelta(milliseconds=1)
    assert "that had been full were not stored" in late.loss_says


def test_what_a_watch_saw_then_is_believed_before_anything_else(drills: DrillWorld) -> None:
    settings = with_objectives(drills, rto=timedelta(hours=1), rpo=timedelta(minutes=5))
    drills.around.seen = [(drills.attacked_at - timedelta(minutes=2), timedelta(minutes=20))]

    recovery = measured(drills, settings, "database").components[0]

    assert recovery.loss == timedelta(minutes=20)
    assert recovery.rpo_met is False
    assert "as the watch saw it" in recovery.loss_says


def test_a_target_without_base_backups_comes_back_from_the_newest_dump(
    drills: DrillWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    protection = drills.protection
    label = protection.back_up().label
    drills.world.source.ledger.write(2)
    settings = replace(drills.settings(), database=replace(drills.settings().database, physical=False))
    rows: list[int] = []
    drills.around.checks = lambda plan, restored: rows.extend(drills.ledger(restored[0])) or ()
    one = drills.drill()
    one = Drill(
        settings, one.open_repository, one.keyring, drills.around, utc_now, one.progress, attended=True
    )

    record = one.run(one.plan(scenario="database", moment=utc_now()))

    [recovery] = record.components
    assert (recovery.component, recovery.label, recovery.failure) == ("dump", label, "")
    assert rows == numbers(len(drills.world.source.ledger.moments) - 2)
    assert recovery.loss == record.disaster_at - recovery.recovered_to
    assert [one.name for one in recovery.phases] == ["detect", "fetch", "restore", "validate"]
    assert drills.leftovers() == []


@pytest.mark.parametrize("scenario", EVERY)
def test_every_scenario_brings_back_what_it_takes(drills: DrillWorld, scenario: str) -> None:
    seen = seeing(drills)

    record = run(drills, scenario)

    assert record.passed, record.components
    assert record.scenario == scenario
    lost = [one.component for one in record.components]
    assert lost == (["base"] if scenario == "database" else [scenario] if "tree" in scenario else lost)
    assert set(seen) == set(lost)
    assert seen.get("base", numbers(8)) == numbers(8)
    assert any(Loss.AIRFLOW.value in scenario for _ in record.notes) or not record.notes
    assert drills.leftovers() == []


def _received(world: World) -> None:
    """Wait until all WAL has been received, and commit nothing."""
    with world.source.server.connect() as session:
        done = None
        while not (done and done[0]):
            done = session.execute(
                "SELECT bool_and(flush_lsn >= pg_current_wal_flush_lsn()) FROM pg_stat_replication"
            ).fetchone()


@pytest.mark.parametrize("still", [True, False], ids=["still idle", "busy again"])
def test_a_server_that_has_been_idle_for_many_segments_comes_back_and_has_lost_nothing(still: bool) -> None:
    folder = Path(tempfile.mkdtemp(prefix="backstop-"))
    folder.chmod(0o711)
    try:
        with running_world(folder, 18) as world:
            made = DrillWorld(world)
            world.source.ledger.write(5)
            world.backups.take()
            world.source.ledger.write(5)
            world.source.switch()
            world.ship()
            idle = _the_next_second()
            with world.source.server.connect() as session:
                for _ in range(12):
                    session.execute("SELECT pg_logical_emit_message(false, 'tests', 'no commit')")
                    session.execute("SELECT pg_switch_wal()")
            if still:
                _received(world)
                world.source.caught_up = lambda: None  # it would commit something
            world.ship()
            settings = replace(made.settings(), trees={})
            settings = replace(settings, database=replace(settings.database, rpo=timedelta(seconds=1)))
            seen = seeing(made)
            one = made.drill()
            one.settings = settings

            record = one.run(one.plan(scenario="database", moment=idle))

            [recovery] = record.components
            assert recovery.failure == ""
            assert seen["base"] == numbers(10)
            assert recovery.loss == timedelta(0)
            assert recovery.rpo_met is True
            assert made.leftovers() == []
    finally:
        shutil.rmtree(folder, ignore_errors=True)
