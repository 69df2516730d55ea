"""A backup, a verification, a restore or a swap is killed at any moment, again and again."""

from __future__ import annotations

import secrets
import shutil
import signal
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.database.fetch import fetch_backup
from backstop.commands.database.swap import ApplicationCommands, Names, reopen, swap_in
from backstop.commands.progress import Silent
from backstop.model.backup import BackupLabel
from backstop.postgres import databases
from tests.commands.test_dump import ROWS
from tests.long.victims import Gallows, Strike, Victim

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from tests.long.trials import Campaign

pytestmark = [pytest.mark.long, pytest.mark.integration, pytest.mark.timeout(3600)]

VERBS = ("back-up", "back-up", "verify", "restore", "swap")


@dataclass
class Scene:
    """A protected database and what has been done to it."""

    folder: Path
    source: ClusterConnection
    gallows: Gallows = field(default_factory=Gallows)
    ahead: timedelta = timedelta(0)
    lives: dict[str, tuple[int, float]] = field(default_factory=dict)
    """By verb: operations and seconds of an undisturbed run."""

    def __post_init__(self) -> None:
        with self.source.connect() as session:
            session.execute("RESET search_path")
            session.execute(ROWS.encode())
        self.label = self.victim("back-up").open().back_up().label
        # A restore of that backup is told from the live database by this.
        with self.source.connect() as session:
            session.execute("CREATE TABLE public.since_then (n int)")
        for verb in sorted(set(VERBS)):
            status, operations, seconds = self.gallows.execute(self.prepared(verb), None)
            assert status == 0, f"{verb} fails undisturbed"
            self.lives[verb] = operations, seconds
            self.check_and_mend(verb)

    def victim(self, verb: str, **details: Any) -> Victim:
        self.ahead += timedelta(minutes=4)
        return Victim(verb, self.folder, self.source, self.ahead, **details)

    def prepared(self, verb: str) -> Victim:
        if verb == "swap":
            restore = self.restore()
            self.plan = restore.plan()
            restore.restore_beside(self.plan)
            return self.victim(verb, plan=self.plan.to_dict())
        return self.victim(verb, label="" if verb == "back-up" else self.label)

    def restore(self) -> Any:
        return self.victim("look").open().restore(self.label, server=self.source, allow_superuser=True)

    def labels(self) -> set[str]:
        listing = self.victim("look").open().repository("local").catalog.backups()
        assert listing.unreadable == ()
        return {found.manifest.label.text for found in listing.backups}

    def live(self) -> tuple[Any, ...]:
        """What the application would notice had something happened to its database."""
        with self.source.connect(application_name="look") as session:
            rows = session.execute(
                "SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_database "
                "WHERE datname = current_database() AND datallowconn), to_regclass('public.since_then'), "
                "(SELECT sum(hashtextextended(m::text, 0)) FROM public.measurements m), "
                "(SELECT sum(hashtextextended(e::text, 0)) FROM public.equipment e)"
            ).fetchone()
        assert rows
        return rows

    def check_and_mend(self, verb: str) -> None:
        """What must hold whenever a command of this kind has ended somehow; then the next run."""
        self.await_no_sessions()
        protection = self.victim("look").open()
        if verb == "back-up":
            protection.back_up()
        elif verb == "verify":
            found = protection.repository("local").catalog
            proofs = found.proofs(found.backup(BackupLabel(self.label)))
            assert all(proof.matched for proof in proofs), proofs
            proof = protection.prove(self.label)
            assert proof.matched, proof.differences
        elif verb == "restore":
            restore = self.restore()
            plan = restore.plan()
            restore.restore_beside(plan)
            restore.validate(plan)
            self.drop(plan.beside)
        else:
            self.undo_swap()
        assert sorted(path.name for path in (self.folder / "staging").iterdir()) == []
        half_written = self.folder / "repository" / ".tmp"
        assert not half_written.exists() or verb != "back-up" or list(half_written.iterdir()) == []
        # An isolation that was being tried out leaves at most an empty folder.
        temporary = [path for path in (self.folder / "tmp").glob("**/*") if not path.is_dir()]
        assert temporary == []

    def undo_swap(self) -> None:
        """A swap is done or not done; either way both databases are there, whole, and can be opened."""
        application = ApplicationCommands()
        with self.source.connect(dbname="postgres") as session:
            swapped = databases.exists(session, self.plan.old)
            assert databases.exists(session, self.plan.database)
            assert databases.exists(session, self.plan.beside) is not swapped
        reopen(self.plan, server=self.source, application=application)
        with self.source.connect() as session:
            found = session.execute("SELECT to_regclass('public.since_then') IS NULL").fetchone()
        assert found == (swapped,)
        if swapped:
            back = Names(database=self.plan.database, beside=self.plan.old, old=self.plan.beside)
            swap_in(back, server=self.source, application=application, accept_logical_slots=False)
        self.drop(self.plan.beside)

    def drop(self, name: str) -> None:
        with self.source.connect(dbname="postgres") as session:
            databases.drop_database(session, name)

    def await_no_sessions(self) -> None:
        """Sessions of the dead are gone soon, and their locks with them."""
        deadline = time.monotonic() + 20
        while True:
            with self.source.connect(dbname="postgres", application_name="look") as session:
                rows = session.execute(
                    "SELECT application_name, query FROM pg_stat_activity "
                    "WHERE application_name LIKE 'backstop%'"
                ).fetchall()
            if not rows:
                return
            assert time.monotonic() < deadline, rows
            time.sleep(0.05)

    def fetch(self, label: str) -> None:
        """Whatever is listed can be fetched."""
        protection = self.victim("look").open()
        repository = protection.repository("local")
        fetched = self.folder / f"fetched-{secrets.token_hex(4)}"
        fetch_backup(
            repository,
            repository.catalog.backup(BackupLabel(label)).manifest,
            keyring=protection.keyring,
            destination=fetched,
            jobs=2,
            progress=Silent(),
        )
        shutil.rmtree(fetched)

    def prove(self, label: str) -> None:
        proof = self.victim("look").open().prove(label)
        assert proof.matched, proof.differences


def some_strike(dice: random.Random, operations: int, seconds: float) -> Strike:
    """Half of them by time, half at a file operation: the short moments between two writes count as much."""
    if dice.random() < 0.5:
        number = signal.SIGTERM if dice.random() < 0.3 else signal.SIGKILL
        return Strike(after_seconds=dice.uniform(0, seconds * 1.05), signal=number)
    return Strike(before_operation=dice.randint(1, operations))


def test_whatever_is_killed_at_whatever_moment_nothing_is_half_done(
    folder: Path,
    database: ClusterConnection,
    campaign: Callable[[str, int], Campaign],
):
    trials = campaign("kills", 90)
    scene = Scene(folder, database)
    for trial in trials:
        verb = VERBS[trial.number % len(VERBS)]
        strike = some_strike(trial.random, *scene.lives[verb])
        victim, before, live = scene.prepared(verb), scene.labels(), scene.live() if verb != "swap" else None

        status, _, _ = scene.gallows.execute(victim, strike)

        where = f"{verb}, {strike}, {trials.repeat(trial.number)}"
        assert status in (0, 1, 143, -signal.SIGKILL, -signal.SIGTERM), where
        new = scene.labels() - before
        assert len(new) <= (verb == "back-up"), where
        assert live is None or scene.live() == live, where
        for label in new:
            scene.prove(label)
        scene.check_and_mend(verb)
        after = scene.labels()
        assert before | new <= after, where
        for label in after - before:
            scene.fetch(label)
        if verb == "back-up" and trial.number % 10 == 0:
            scene.prove(max(after))
        trials.note(ended=f"{verb} {'finished' if status == 0 else 'died'}")
