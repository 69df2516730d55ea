"""The newest backups come first, and manifests of old ones are not read for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.commands.base.lineage import choose_parent, refuse_other_cluster
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.errors import NotFoundError, SourceError
from backstop.model.backup import BackupKind, BackupLabel
from backstop.repository.newest import newest_first
from backstop.storage.memory import MemoryStorage
from tests.making import STARTED, Maker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY = timedelta(days=1)
CLUSTER = "7000000000000000001"


class Dated(MemoryStorage):
    """Puts objects when it is told it is, and remembers what was read."""

    def __init__(self, name: str) -> None:
        self.now = STARTED
        self.manifests_read: list[str] = []
        super().__init__(name, clock=lambda: self.now)

    def read(self, key: str, **options):
        if "/manifests/" in key:
            self.manifests_read.append(key)
        return super().read(key, **options)


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Maker]:
    create_signing_keys(tmp_path / "signing")
    keyring = LocalKeyring.create(tmp_path / "keyring.json", STARTED)
    signer = Signer.load(tmp_path / "signing/manifest.pem")
    trust = TrustedSigners.load(tmp_path / "signing/trusted.json")
    return lambda name: Maker(Dated(name), keyring, signer, trust, name=name)


def take(
    maker: Maker,
    day: int,
    kind: BackupKind = BackupKind.FULL,
    *,
    tree: str = "",
    refers_to: tuple[BackupLabel, ...] = (),
    took: timedelta = timedelta(hours=1),
    put: datetime | None = None,
    system_id: str = CLUSTER,
) -> BackupLabel:
    """Publish a manifest of a backup that started on that day."""
    started = STARTED + day * DAY
    label = BackupLabel.at(started, kind, tree=tree)
    maker.storage.now = put or started + took
    manifest = replace(
        maker.manifest(label, [], started),
        finished_at=started + took,
        refers_to=refers_to,
        parent=refers_to[-1] if refers_to else None,
        system_id=system_id,
    )
    maker.catalog.publish(manifest, signer=maker.signer, ensure_held=lambda: None)
    return label


def labels(maker: Maker) -> list[BackupLabel]:
    return [one.manifest.label for one in newest_first(maker.catalog, wanted=lambda label: True)]


def test_backups_come_in_the_order_of_their_ends_whatever_order_they_lie_there(make):
    maker = make("one")
    old = take(maker, 0, put=STARTED + 40 * DAY)  # copied here from another repository
    slow = take(maker, 10, took=5 * DAY)
    quick = take(maker, 12)
    newest = take(maker, 30)

    assert labels(maker) == [newest, slow, quick, old]


def test_a_manifest_put_before_its_end_by_another_clock_is_not_overtaken(make):
    maker = make("one")
    later = take(maker, 10, put=STARTED + 10 * DAY - timedelta(hours=20))
    earlier = take(maker, 9, took=timedelta(hours=20))

    assert labels(maker) == [later, earlier]


def test_the_newest_is_found_without_reading_the_old_ones(make):
    maker = make("one")
    for day in range(100):
        take(maker, day)
    maker.storage.manifests_read.clear()

    refuse_other_cluster([maker.repository], CLUSTER)
    parent = choose_parent([maker.repository], system_id=CLUSTER)

    assert parent.manifest.started_at == STARTED + 99 * DAY
    assert len(maker.storage.manifests_read) < 10


def test_trees_and_dumps_are_not_read_for_a_parent(make):
    maker = make("one")
    full = take(maker, 0)
    for day in range(1, 50):
        take(maker, day, BackupKind.DUMP)
        take(maker, day, BackupKind.TREE, tree="media", system_id="unknown")
    maker.storage.manifests_read.clear()

    assert choose_parent([maker.repository], system_id=CLUSTER).manifest.label == full
    assert len(maker.storage.manifests_read) <= 2


def test_a_parent_is_one_whose_whole_chain_is_in_every_repository(make):
    one, two = make("one"), make("two")
    for maker in (one, two):
        full = take(maker, 0)
        first = take(maker, 1, BackupKind.INCREMENTAL, refers_to=(full,))
    second = take(one, 2, BackupKind.INCREMENTAL, refers_to=(full, first))
    both = [one.repository, two.repository]

    assert choose_parent(both, system_id=CLUSTER).chain == (full, first)
    assert choose_parent([one.repository], system_id=CLUSTER).chain == (full, first, second)
    assert choose_parent(both, system_id=CLUSTER, wanted=full).chain == (full,)
    with pytest.raises(NotFoundError, match=f"{second} of this cluster"):
        choose_parent(both, system_id=CLUSTER, wanted=second)


def test_another_clusters_base_backup_is_no_parent(make):
    maker = make("one")
    ours = take(maker, 0)
    take(maker, 1, system_id="42")

    assert choose_parent([maker.repository], system_id=CLUSTER).manifest.label == ours
    with pytest.raises(SourceError, match="is of cluster 42"):
        refuse_other_cluster([maker.repository], CLUSTER)


def test_a_damaged_manifest_is_passed_over(make):
    maker = make("one")
    good = take(maker, 0)
    maker.storage.now = STARTED + 5 * DAY
    maker.storage.put_once("calibrify/meta/manifests/20261128T010000Z-full.json", b"{}")
    maker.storage.put_once("calibrify/meta/manifests/odd.json", b"{}")

    assert labels(maker) == [good]
