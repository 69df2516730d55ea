"""Expiry killed at every step: nothing restorable is lost, the inventory never lies, the next run ends it."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.expiry.carry_out import carry_out
from backstop.commands.expiry.plan import plan_expiry
from backstop.errors import SourceUnavailableError, StorageUnavailableError
from backstop.postgres.connection import ClusterConnection
from backstop.repository.inventory import Inventory
from backstop.repository.inventory_rows import status_of
from backstop.storage.memory import MemoryStorage
from tests.expiring import TODAY, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.model.backup import BackupLabel

AVAILABLE = {"completed", "proven"}
STEPS = {
    "put_once",
    "upload",
    "delete",
    "delete_many",
    "record",
    "mark_expiring",
    "mark_kept",
    "mark_expired",
}


class Killed(BaseException):
    """The process ends here: nothing that handles errors may run on."""


class Death:
    """Ends us at one step, counted over everything that changes something anywhere.

    :param at: which; None: never. :param how: ``before`` it, ``after`` it, or ``within``: half of it is done.
    """

    def __init__(self, at: int | None = None, how: str = "before") -> None:
        self.at = at
        self.how = how
        self.steps = 0
        self.dead = False

    def around(self, name: str, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if self.dead:
            raise Killed
        if name not in STEPS:
            return call(*arguments)
        step, self.steps = self.steps, self.steps + 1
        if step != self.at:
            return call(*arguments)
        self.dead = True
        if self.how == "after":
            call(*arguments)
        elif self.how == "within" and name == "delete_many":
            versions = list(arguments[0])
            call(versions[: len(versions) // 2])
        raise Killed


class Mortal:
    """Something whose every call may be the last."""

    def __init__(self, inner: Any, death: Death) -> None:
        self._inner = inner
        self._death = death

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found
        return lambda *arguments, **named: self._death.around(
            name, lambda *again: found(*again, **named), arguments
        )


class Rows:
    """The inventory's rows, in memory: what its SQL does, without a server for each of hundreds of trials."""

    def __init__(self, rows: dict[BackupLabel, str]) -> None:
        self.rows = rows

    def require(self) -> None:
        """Always there."""

    def record(self, repository, published, proofs) -> None:
        if self.rows.get(published.manifest.label) != "expiring":
            self.rows[published.manifest.label] = status_of(proofs)

    def mark_expiring(self, repository, label, reasons) -> None:
        assert label in self.rows
        self.rows[label] = "expiring"

    def mark_kept(self, repository, label, status) -> None:
        if self.rows.get(label) == "expiring":
            self.rows[label] = status

    def mark_expired(self, repository, label, at) -> None:
        self.rows[label] = "expired"


def fill(world: World) -> None:
    """Something of everything that may go."""
    world.dump(30)
    world.dump(1)
    parent = world.base(40, start=0)
    world.base(39, parent=parent, start=1)
    world.base(1, start=5)
    world.wal(0, 8)
    old = world.tree(30, new=3)
    world.tree(1, earlier=world.packs(old)[:1])


class Copies:
    """The same filled repository again and again, without making it again."""

    def __init__(self, signing, *, versioned: bool) -> None:
        self._signing = signing
        self._versioned = versioned
        self._filled = World(signing, MemoryStorage(clock=lambda: TODAY, versioned=versioned))
        fill(self._filled)

    def copy(self) -> World:
        storage = MemoryStorage(clock=lambda: TODAY, versioned=self._versioned)
        original = self._filled.storage
        storage._objects = dict(original._objects)
        storage._past = {key: list(versions) for key, versions in original._past.items()}
        storage._made = original._made
        return World(self._signing, storage)


def run(world: World, inventory: Any, death: Death) -> None:
    mortal = World(world.signing, Mortal(world.storage, death), now=world.now)  # type: ignore[arg-type]
    plan = plan_expiry(mortal.repository, settings=mortal.settings, now=mortal.now)
    carry_out(plan, mortal.repository, inventory=Mortal(inventory, death), clock=mortal.clock)  # type: ignore[arg-type]


def rows_of(world: World) -> Rows:
    return Rows(dict.fromkeys(world.labels(), "proven"))


def require_truth(world: World, rows: dict[BackupLabel, str]) -> None:
    present = world.labels()
    for label, status in rows.items():
        assert label in present or status not in AVAILABLE, f"{label} is {status} and gone"
    world.require_whole()


def steps_of(copies: Copies) -> int:
    world, death = copies.copy(), Death()
    run(world, rows_of(world), death)
    return death.steps


@pytest.fixture(scope="module")
def copies(signing):
    return Copies(signing, versioned=False)


@pytest.mark.parametrize(
    ("versioned", "how"), [(False, "before"), (False, "within"), (False, "after"), (True, "within")]
)
def test_killed_at_any_step_nothing_is_lost_and_the_next_run_finishes(signing, versioned, how):
    copies = Copies(signing, versioned=versioned)
    expected = copies.copy()
    run(expected, rows_of(expected), Death())
    steps = steps_of(copies)
    assert steps > 40
    for at in range(steps):
        world = copies.copy()
        inventory = rows_of(world)
        with pytest.raises(Killed):
            run(world, inventory, Death(at, how))
        require_truth(world, inventory.rows)

        world.now += timedelta(minutes=10)  # the dead one's leases have run out
        run(world, inventory, Death())

        require_truth(world, inventory.rows)
        world.require_no_garbage()
        assert world.labels() == expected.labels()
        assert {label for label, status in inventory.rows.items() if status == "expired"} == set(
            inventory.rows
        ) - world.labels()
        assert {key for key in world.stored() if "/meta/lease/" not in key} == {
            key for key in expected.stored() if "/meta/lease/" not in key
        }, f"step {at}"


def test_killed_again_and_again_it_gets_there_all_the_same(copies):
    world = copies.copy()
    inventory = rows_of(world)
    for at in range(8, 400):
        try:
            run(world, inventory, Death(at, "after"))
            break
        except Killed:
            require_truth(world, inventory.rows)
            world.now += timedelta(minutes=10)

    world.require_no_garbage()
    assert len(world.labels()) == 3


def test_begun_and_then_wanted_again_it_is_a_backup_like_before(copies):
    """Killed before its manifest went, and then held: the mark goes, and the inventory says so."""
    from backstop.repository.holds import Holds

    for at in range(steps_of(copies)):
        world, death = copies.copy(), Death(at, "after")
        inventory = rows_of(world)
        with pytest.raises(Killed):
            run(world, inventory, death)
        expiring = [label for label, status in inventory.rows.items() if status == "expiring"]
        if expiring and expiring[0] in world.labels():
            break
    [label] = expiring
    # Placed while no mark was there to be seen: adopted from another repository.
    other = World(world.signing, name="other")
    other.storage._objects |= {
        key: value for key, value in world.storage._objects.items() if "/expiring/" not in key
    }
    Holds(other.repository).place(label, reason="audit", who="ada", until=None, now=world.now)
    for body in Holds(other.repository).documents(label):
        Holds(world.repository).adopt(label, body)

    world.now += timedelta(minutes=10)
    run(world, inventory, Death())

    assert label in world.labels()
    assert inventory.rows[label] == "proven"
    assert world.stored("calibrify/meta/expiring/") == set()
    world.require_whole()


@pytest.mark.integration
def test_the_real_inventory_tells_the_same_at_every_step_it_takes_part_in(database, signing):
    copies = Copies(signing, versioned=False)
    inventory = Inventory(database)
    inventory.migrate()

    def rows() -> dict[str, str]:
        with database.connect() as session:
            return dict(session.execute("SELECT label, status FROM public.backup_inventory").fetchall())

    names: list[str] = []

    class Counting(Death):
        def around(self, name, call, arguments):
            if name in STEPS:
                names.append(name)
            return super().around(name, call, arguments)

    world = copies.copy()
    inventory.index(world.repository)
    run(world, inventory, Counting())
    assert set(rows().values()) == {"proven", "expired"}
    taking_part = [at for at, name in enumerate(names) if name.startswith(("mark", "record"))]
    # Of one backup: the others' rows are told in the same way.
    for at in [*taking_part[:3], taking_part[2] + 1]:
        world = copies.copy()
        with database.connect() as session:
            session.execute("DELETE FROM public.backup_inventory")
        inventory.index(world.repository)
        with pytest.raises(Killed):
            run(world, inventory, Death(at, "after"))
        require_truth(world, {label: rows().get(label.text, "") for label in copies.copy().labels()})
        world.now += timedelta(minutes=10)

        run(world, inventory, Death())

        found = rows()
        assert {label for label, status in found.items() if status == "expired"} == {
            label.text for label in copies.copy().labels() - world.labels()
        }
        assert inventory.index(world.repository).missing == ()
        assert rows() == found


def test_without_its_inventory_expiry_does_not_begin(world):
    old, _ = world.dump(30), world.dump(1)
    made = plan_expiry(world.repository, settings=world.settings, now=world.now)
    nowhere = Inventory(ClusterConnection(host="127.0.0.1", port=1, user="x", dbname="x"))
    before = world.stored()

    with pytest.raises(SourceUnavailableError):
        carry_out(made, world.repository, inventory=nowhere, clock=world.clock)

    assert world.stored() == before
    assert old in world.labels()


class Failing(Death):
    """As a repository that stops answering, instead of a process that ends."""

    def around(self, name, call, arguments):
        if self.dead:
            raise StorageUnavailableError("the repository does not answer")
        try:
            return super().around(name, call, arguments)
        except Killed:
            raise StorageUnavailableError("the repository does not answer") from None


def test_a_repository_that_stops_answering_at_any_step_is_finished_later(copies):
    for at in range(steps_of(copies)):
        world = copies.copy()
        inventory = rows_of(world)
        with contextlib.suppress(StorageUnavailableError):
            run(world, inventory, Failing(at, "within"))
        require_truth(world, inventory.rows)
        world.now += timedelta(minutes=10)

        run(world, inventory, Death())

        require_truth(world, inventory.rows)
        world.require_no_garbage()
