"""What planning asks of a repository with many backups: each manifest and proof once, and few listings."""

from __future__ import annotations

from collections import Counter

from backstop.commands.expiry.plan import plan_expiry
from backstop.model.retention import RetentionPolicy
from backstop.storage.memory import MemoryStorage
from tests.expiring import TODAY, World


class Counting(MemoryStorage):
    """Counts what it is asked."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: TODAY)
        self.asked: Counter[str] = Counter()

    def list(self, prefix):
        self.asked["listings"] += 1
        return super().list(prefix)

    def versions(self, prefix):
        self.asked["listings"] += 1
        return super().versions(prefix)

    def read(self, key, **more):
        self.asked[key] += 1
        return super().read(key, **more)


def asked_for(signing, days: int) -> Counter[str]:
    storage = Counting()
    world = World(signing, storage)
    world.policy = RetentionPolicy(keep_last=1000, min_proven=1)
    for day in range(days):
        world.dump(day)
        world.tree(day)
    storage.asked.clear()
    plan_expiry(world.repository, settings=world.settings, now=world.now)
    return storage.asked


def test_more_backups_take_no_more_listings(signing):
    assert asked_for(signing, 3)["listings"] == asked_for(signing, 40)["listings"]


def test_each_manifest_and_each_proof_is_read_once(signing):
    asked = asked_for(signing, 10)

    read = {key: times for key, times in asked.items() if "/manifests/" in key or "/proofs/" in key}
    assert len(read) == 40
    assert set(read.values()) == {1}
