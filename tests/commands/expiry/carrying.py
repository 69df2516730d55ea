"""Plans an expiry and carries it out, and storages that do something meanwhile."""

from __future__ import annotations

from datetime import timedelta

from backstop.commands.expiry.carry_out import carry_out
from backstop.commands.expiry.plan import plan_expiry
from backstop.storage.memory import MemoryStorage
from tests.expiring import TODAY


def plan(world):
    return plan_expiry(world.repository, settings=world.settings, now=world.now)


def carry(world, made=None, **more):
    return carry_out(made or plan(world), world.repository, inventory=None, clock=world.clock, **more)


def expire(world):
    report = carry(world)
    world.require_whole()
    return report


def wal_of(world, label):
    """Numbers of the stored segments from where the backup begins."""
    manifest = world.catalog.backup(label).manifest
    first = int(manifest.start_lsn.partition("/")[2], 16) // (16 * 1024 * 1024)
    numbers = {int(key.rpartition("/")[2][16:24], 16) for key in world.stored("calibrify/data/wal/")}
    return sorted(number for number in numbers if number >= first)


class Interrupting(MemoryStorage):
    """Calls ``then`` once, right before the first removal of a key with this beginning.

    :ivar at_put: the same, right after such a key was put.
    """

    def __init__(self) -> None:
        super().__init__(clock=lambda: TODAY)
        self.at = "nothing"
        self.at_put = "nothing"
        self.then = lambda: None

    def put_once(self, key, data):
        info = super().put_once(key, data)
        if key.startswith(self.at_put):
            self.at_put = "nothing"
            self.then()
        return info

    def delete_many(self, versions):
        doomed = list(versions)
        if any(key.startswith(self.at) for key, _ in doomed):
            self.at = "nothing"
            self.then()
        return super().delete_many(doomed)


class LockingMarks(MemoryStorage):
    """Locks every mark of an expiry for a week."""

    def put_once(self, key, data):
        info = super().put_once(key, data)
        if "/meta/expiring/" in key:
            self.lock_object(key, until=TODAY + timedelta(days=7))
        return info
