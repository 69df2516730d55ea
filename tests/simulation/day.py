"""One simulated day: the times at which things are done, and what today's troubles make of them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from backstop.errors import BackstopError, LeaseHeldError, LeaseLostError, StorageUnavailableError
from backstop.model.backup import BackupKind, BackupLabel
from backstop.repository.lock import acquire_in
from backstop.repository.pins import pin
from tests.simulation.backups import Begun, begin_base, begin_dump, begin_tree
from tests.simulation.shelf import Killed
from tests.simulation.shocks import accept_drops, strike
from tests.simulation.world import BEGIN, LOCAL, Protected, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backstop.repository.catalog import Repository
    from backstop.repository.lock import RepositoriesLease
    from tests.simulation.judge import Judge, Watch
    from tests.simulation.nightly import Procedures
    from tests.simulation.tidiness import Tidiness
    from tests.simulation.year import Trouble, Year

#: Backups run by this clock: twice a year a UTC day has two of them, or none.
_HOME = ZoneInfo("Europe/Berlin")
_TREES_NEED_A_CLOCK = timedelta(days=30)


@dataclass
class Days:
    """Lives through a year, day by day."""

    world: World
    year: Year
    procedures: Procedures
    judge: Judge
    tidiness: Tidiness
    _running: list[tuple[Begun, RepositoriesLease, ExitStack]] = field(default_factory=list)

    def live(self, number: int) -> None:
        today = self.year.today(number)
        self.judge.hindered.clear()
        self._begin(number, today)
        self._back_up(number, today)
        self._verify(today)
        self._read_and_hold()
        self._procedures()
        self._finish_running()
        self._write_until("23:30", number)
        self.tidiness.end_of_day()

    def _at(self, number: int, clock: str) -> datetime:
        """That time of that day, where the users live."""
        hour, minute = map(int, clock.split(":"))
        day = (BEGIN + timedelta(days=number)).date()
        there = datetime(day.year, day.month, day.day, hour, minute, tzinfo=_HOME)
        return there.astimezone(BEGIN.tzinfo) + timedelta(seconds=self.world.dice.randint(0, 50))

    def _begin(self, number: int, today: dict[str, Trouble]) -> None:
        world = self.world
        world.now = max(world.now, self._at(number, "00:30"))
        wrong = today.get("wrong clock")
        world.wrong_by = timedelta(days=wrong.value) if wrong else timedelta(0)
        world.shelves["local"].down = "local is down" in today
        world.shelves["s3"].down = "s3 is down" in today and not world.shelves["local"].down
        accept_drops(world, self.year, number)
        for trouble in self.year.begin(number):
            strike(world, trouble)

    def _write_until(self, clock: str, number: int, *, shipped: bool = True) -> None:
        """The application goes on, and the receiver with it."""
        world = self.world
        world.now = max(world.now, self._at(number, clock))
        if not world.current.active:
            return
        world.current.cluster.write(world.dice.choice((0.02, 0.3, 0.9, 1.6)))
        if shipped and "no keys" not in self.year.today(number):
            world.ship_wal(world.current)

    def _back_up(self, number: int, today: dict[str, Trouble]) -> None:
        world, target = self.world, self.world.current
        sunday = (BEGIN + timedelta(days=number)).weekday() == 6
        new_cluster = not any(
            made.cluster is target.cluster
            for made in world.chronicle.made.values()
            if made.target == target.name
        )
        physical = BackupKind.FULL if sunday or new_cluster else BackupKind.INCREMENTAL
        plan: list[tuple[str, Callable[[], Begun]]] = [
            ("01:00", lambda: begin_dump(world, target)),
            ("02:30", lambda: begin_tree(world, target, "media")),
            ("03:10", lambda: begin_base(world, target, physical)),
        ]
        if number % 3 == 0:
            plan.append(("04:00", lambda: begin_tree(world, target, "config")))
        target.rows += world.dice.randint(-2_000, 5_000)
        target.files["media"] += world.dice.randint(-5, 40)
        for clock, begin in plan:
            self._write_until(clock, number)
            self._one_backup(begin, today, database=clock in ("01:00", "03:10"))

    def _one_backup(self, begin: Callable[[], Begun], today: dict[str, Trouble], *, database: bool) -> None:
        world = self.world
        # A dump or a base backup compares its clock with the server's.
        refused = world.wrong_by and (database or abs(world.wrong_by) >= _TREES_NEED_A_CLOCK)
        if "nothing is backed up" in today or "no keys" in today or refused or not world.reachable():
            return
        begun = begin()
        if world.chronicle.made.get((begun.draft.target, begun.draft.label.text)):
            return
        fate = world.dice.random()
        if "backups die half-way" in today or fate < 0.03:
            return
        if fate > 0.9 and not world.wrong_by:
            self._leave_running(begun)
            return
        begun.publish()

    def _leave_running(self, begun: Begun) -> None:
        """It has stored its payload and is not through: expiry and the others run beside it."""
        world, label = self.world, begun.draft.label
        kind = f"tree-{label.tree}" if label.tree else "base" if label.kind.physical else "dump"
        stack = ExitStack()
        try:
            lease = acquire_in(
                {name: world.shelves[name] for name in begun.where},
                target=begun.draft.target, kind=kind, holder="backup", clock=world.clock,
                ttl=timedelta(days=1),
            )  # fmt: skip
        except LeaseHeldError:
            return  # of an expiry that died while its clock ran ahead
        stack.enter_context(lease)
        self._running.append((begun, lease, stack))
        self.judge.hindered.update((name, begun.draft.target) for name in begun.where)

    def _finish_running(self) -> None:
        for begun, lease, stack in self._running:
            try:
                lease.ensure_held()
                begun.publish()
            except (LeaseLostError, LeaseHeldError):
                pass
            finally:
                stack.close()
        self._running.clear()

    def _verify(self, today: dict[str, Trouble]) -> None:
        world, dice = self.world, self.world.dice
        world.now += timedelta(hours=1)
        idle = "nothing is verified" in today or "no keys" in today
        for target in world.targets:
            for repository in world.repositories(target.name):
                labels = world.labels(target.name, repository.name)
                if world.shelves[repository.name].down or not labels:
                    continue
                if not idle:
                    self._prove(repository, labels, failing="no verification matches" in today)
                # Whoever has taken over a writer wants what matters proven; it has one key of the two.
                for label in (dice.choice(labels), max(labels)):
                    if dice.random() < 0.02:
                        world.verify(repository, label, matched=True, signer=world.writer)
            if not any(shelf.down for shelf in world.shelves.values()) and dice.random() < 0.2:
                self._carry_proofs_over(target)

    def _prove(self, repository: Repository, labels: list[str], *, failing: bool) -> None:
        """What is not verified yet; now and then a second time, and some do not match."""
        world, dice = self.world, self.world.dice
        for label in labels:
            known = world.chronicle.verified.get((repository.name, repository.catalog.target, label))
            again = known is not None and dice.random() < 0.001
            if known is None or again:
                matched = not failing and dice.random() > (0.5 if again else 0.02)
                world.verify(repository, label, matched=matched)

    def _carry_proofs_over(self, target: Protected) -> None:
        """Somebody copies proofs from one repository into the other by hand: they speak of the other copy."""
        here, there = self.world.dice.sample(sorted(self.world.shelves), 2)
        spoiled = self.world.chronicle.spoiled
        for label in self.world.labels(target.name, there)[-4:]:
            for key in self.world.shelves[here].keys(f"{target.name}/meta/proofs/{label}/"):
                if key not in self.world.shelves[there]:
                    self.world.shelves[there].put_once(key, self.world.shelves[here].body(key) or b"")
            if (here, target.name, label) in spoiled:
                # A forged one among them: it takes the word of the verifier away there, too.
                spoiled.add((there, target.name, label))

    def _read_and_hold(self) -> None:
        world, dice = self.world, self.world.dice
        world.now += timedelta(minutes=30)
        self._readers = ExitStack()
        for target in world.targets:
            for repository in world.repositories(target.name):
                labels = world.labels(target.name, repository.name)
                if world.shelves[repository.name].down or not labels:
                    continue
                # The oldest ones: what expiry wants next.
                if dice.random() < 0.1:
                    label = dice.choice(sorted(labels)[:6])
                    self._read(repository, label)
                if dice.random() < 0.01:
                    self.procedures.hold(repository, dice.choice(sorted(labels)[:10]), self.judge)
        self.procedures.release_some(self.judge)

    def _procedures(self) -> None:
        world = self.world
        world.now += timedelta(hours=1)
        with self._readers:
            for target in list(world.targets):
                self._night_of(target)
        self.judge.nobody_reads()

    def _night_of(self, target: Protected) -> None:
        world = self.world
        with self.judge.watching(target.name, "sync") as watch, self._perhaps_cut_short(watch):
            watch.failed = self.procedures.sync(target.name)
        for repository in world.repositories(target.name):
            if world.shelves[repository.name].down:
                continue
            with self.judge.watching(target.name, "expiry", repository.name) as watch:
                with self._perhaps_cut_short(watch), self._perhaps_read_meanwhile(repository):
                    watch.blocked = self.procedures.expire(repository, self.judge)
                for sentence in (watch.refused, *watch.blocked):
                    self.procedures.look_at(target.name, sentence)
            with (
                self.judge.watching(target.name, "orphans", repository.name) as watch,
                self._perhaps_cut_short(watch),
            ):
                self.procedures.remove_orphans(repository)

    @contextmanager
    def _perhaps_read_meanwhile(self, repository: Repository) -> Iterator[None]:
        """Somebody begins to restore a backup right when its expiry has begun, and before it is withdrawn."""
        world, target = self.world, repository.catalog.target
        shelf, prefix = world.shelves[repository.name], f"{target}/meta/expiring/"

        def look(key: str) -> None:
            if key.startswith(prefix) and world.dice.random() < 0.1:
                label = key.removeprefix(prefix).removesuffix(".json")
                self._read(repository, label)

        shelf.when_stored = look
        try:
            yield
        finally:
            shelf.when_stored = lambda key: None

    def _read(self, repository: Repository, label: str) -> None:
        """Until the night is over."""
        target = repository.catalog.target
        mark = pin(
            repository.storage, target, BackupLabel(label), holder="restore",
            clock=self.world.clock, ttl=timedelta(hours=12),
        )  # fmt: skip
        self._readers.enter_context(mark)
        self.judge.reading(repository.name, target, label)

    @contextmanager
    def _perhaps_cut_short(self, watch: Watch) -> Iterator[None]:
        """In some nights the worker is killed, or the repository does not answer any more, at any call."""
        world, dice = self.world, self.world.dice
        how = dice.random()
        calls = int(10 ** dice.uniform(0.5, 3.5))
        if how < 0.1:
            for name, shelf in world.shelves.items():
                silent = StorageUnavailableError(f"{shelf.location} does not answer any more")
                shelf.fails, shelf.calls_left = Killed() if how < 0.07 else silent, calls
                if how > 0.085 and name == LOCAL:
                    shelf.fails = None
        try:
            yield
        except BackstopError as error:
            watch.refused = str(error)
        except Killed:
            pass
        finally:
            for shelf in world.shelves.values():
                watch.died |= shelf.fails is not None and shelf.calls_left < 0
                shelf.fails = None
