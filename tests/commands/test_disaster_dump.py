"""A database that is lost: seen as such, and brought back from a dump, whoever is killed in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from backstop.commands.database.restore import RestoreSettings
from backstop.commands.database.swap import ApplicationCommands
from backstop.commands.disaster.component import Condition, Sources
from backstop.commands.disaster.dump import DumpComponent
from backstop.commands.progress import Silent
from tests.commands.test_dump import ROWS
from tests.protection import protect, utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from tests.protection import Protection

pytestmark = pytest.mark.integration


@dataclass
class Tried:
    """One try at the step; killed when the swap is about to begin, where it should be."""

    earlier: Mapping[str, Any] = field(default_factory=dict)
    killed: bool = False
    reached: dict[str, Any] = field(default_factory=dict)

    def reach(self, **facts: Any) -> None:
        self.reached = facts
        if self.killed:
            raise SystemExit(137)


@dataclass
class Lost:
    """A database with a dump of it."""

    database: ClusterConnection
    protection: Protection

    def __post_init__(self) -> None:
        with self.database.connect() as session:
            session.execute("RESET search_path")
            session.execute(ROWS.encode())
        self.label = self.protection.back_up().label
        self.part = {"repository": "local", "label": self.label}

    def component(self, **application: Any) -> DumpComponent:
        return DumpComponent(
            reader=self.database,
            server=lambda: self.database,
            settings=lambda _: RestoreSettings(
                scratch=self.protection.folder / "staging",
                database=self.database.dbname,
                reader=self.database,
                allow_superuser=True,
            ),
            application=ApplicationCommands(**application),
            accept_logical_slots=False,
            clock=utc_now,
            progress=Silent(),
        )

    @property
    def sources(self) -> Sources:
        return Sources("calibrify", self.protection.repositories, lambda: self.protection.keyring)

    def recover(self, run: Tried, **application: Any) -> dict[str, Any]:
        return self.component(**application).recover(self.part, self.sources, run)

    def count(self) -> int:
        with self.database.connect() as session:
            return int(session.execute("SELECT count(*) FROM public.equipment").fetchone()[0])

    def databases(self) -> list[str]:
        with self.database.connect(dbname="postgres") as session:
            found = session.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [self._like])
            return sorted(name for (name,) in found)

    @property
    def _like(self) -> str:
        return f"{self.database.dbname}%"

    def drop(self) -> None:
        with self.database.connect(dbname="postgres") as session:
            name = sql.Identifier(self.database.dbname)
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def lost(folder: Path, database: ClusterConnection) -> Lost:
    return Lost(database, protect(folder, database))


def test_a_database_with_all_its_tables_is_whole_and_one_without_any_is_damaged(lost):
    assert lost.component().look(lost.sources).condition is Condition.WHOLE

    with lost.database.connect() as session:
        session.execute("DROP TABLE public.measurements")
    found = lost.component().look(lost.sources)
    # One that was dropped on purpose is no reason to go back.
    assert found.condition is Condition.UNKNOWN
    assert f"its newest dump, {lost.label}" in found.sentence

    with lost.database.connect() as session:
        session.execute("DROP SCHEMA public CASCADE")
    assert lost.component().look(lost.sources).condition is Condition.DAMAGED


def test_a_database_that_was_dropped_is_gone_and_comes_back(lost):
    lost.drop()
    assert lost.component().look(lost.sources).condition is Condition.GONE

    done = lost.recover(Tried())

    assert lost.count() == 1000
    assert done["kept"] == []
    assert lost.databases() == [lost.database.dbname]


def test_the_former_database_is_kept(lost):
    with lost.database.connect() as session:
        session.execute("TRUNCATE public.equipment, public.measurements")

    done = lost.recover(Tried())

    assert lost.count() == 1000
    assert lost.databases() == sorted([lost.database.dbname, *done["kept"]])
    assert [one["name"] for one in done["phases"]] == ["restore", "validate", "swap"]


def test_killed_before_the_swap_the_live_database_is_as_it_was_and_the_next_try_ends_it(lost):
    with lost.database.connect() as session:
        session.execute("TRUNCATE public.measurements")
        session.execute("DELETE FROM public.equipment WHERE id > 10")
    killed = Tried(killed=True)
    with pytest.raises(SystemExit):
        lost.recover(killed)
    assert lost.count() == 10

    lost.recover(Tried(earlier=killed.reached))

    assert lost.count() == 1000


def test_killed_after_the_renames_the_application_is_started_and_nothing_is_restored_again(lost, folder):
    with lost.database.connect() as session:
        session.execute("TRUNCATE public.measurements")
        session.execute("DELETE FROM public.equipment WHERE id > 10")
    first = Tried()
    lost.recover(first)
    with lost.database.connect() as session:
        session.execute("TRUNCATE public.measurements")
        session.execute("DELETE FROM public.equipment WHERE id > 999")
    started = folder / "started"

    done = lost.recover(Tried(earlier=first.reached), start=[["touch", str(started)]])

    assert started.exists()
    assert lost.count() == 999  # written since the swap, and still there
    assert done["label"] == lost.label
    assert len(done["kept"]) == 1
