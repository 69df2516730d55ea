"""S3 is down for a day: what was backed up meanwhile gets there afterwards, and nobody asks the database."""

from __future__ import annotations

import shutil
import signal
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.progress import Silent
from backstop.commands.proof.tree import TreeVerifySettings, verify_tree
from backstop.commands.sync.settings import SyncSettings
from backstop.commands.sync.sync import sync_repositories
from backstop.commands.trees.backup import back_up_files
from backstop.commands.trees.settings import TreeBackupSettings
from backstop.model.backup import BackupLabel
from backstop.storage.posix import PosixStorage
from backstop.storage.s3 import S3Storage
from tests.faults.conftest import BUCKET
from tests.faults.planting import Forked
from tests.faults.s3_proxy import FaultyS3Proxy, answer, cut_request, wait_until
from tests.protection import utc_now
from tests.recovery_world import World, numbers, running_world
from tests.syncing import Repositories

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

    from backstop.commands.sync.report import SyncReport
    from backstop.storage.s3_retry import Patience

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def tomorrow() -> datetime:
    return utc_now() + timedelta(days=1)


@pytest.fixture
def world(broken_client: S3Client, corner: str, impatient: Patience) -> Iterator[World]:
    """A cluster, a file tree, a directory, and a bucket behind the proxy."""
    folder = Path(tempfile.mkdtemp(prefix="backstop-"))
    folder.chmod(0o711)
    with running_world(folder, 18) as world:
        world.protection.storages["s3"] = S3Storage(
            broken_client, bucket=BUCKET, prefix=corner, patience=impatient
        )
        yield world
    shutil.rmtree(folder)


def back_up_tree(world: World) -> BackupLabel:
    live = world.folder / "media"
    live.mkdir(exist_ok=True)
    (live / "scan.tif").write_bytes(b"scan" * 100_000)
    protection = world.protection
    report = back_up_files(
        target=protection.target,
        tree="media",
        repositories=protection.repositories,
        keyring=protection.keyring,
        signer=protection.manifest_signer,
        settings=TreeBackupSettings(staging=world.folder / "staging", patterns=(str(live),)),
        clock=utc_now,
        holder="test",
        progress=Silent(),
    )
    assert not report.complete
    return BackupLabel(report.label)


def sync(world: World) -> SyncReport:
    protection = world.protection
    return sync_repositories(
        target=protection.target,
        repositories=protection.repositories,
        signer=protection.manifest_signer,
        settings=SyncSettings(
            staging=world.folder / "staging",
            places=lambda label: list(protection.storages),
            wal_places=list(protection.storages),
        ),
        clock=tomorrow,
        holder="test",
        progress=Silent(),
    )


def content(world: World, name: str) -> dict[str, Any]:
    """What must be the same everywhere, by label: objects, their hashes plain and stored; the WAL's names."""
    repository = world.protection.repository(name)
    prefixes = [f"{world.protection.target}/{below}/" for below in ("data/wal", "tail")]
    return {
        "wal": [info.key for prefix in prefixes for info in repository.storage.list(prefix)],
        **{
            one.manifest.label.text: [
                (stored.key, stored.plain_sha256, stored.stored_sha256) for stored in one.manifest.objects
            ]
            for one in repository.catalog.backups().backups
        },
    }


def test_after_a_day_without_s3_both_repositories_are_equal_and_s3_restores_everything(
    world: World, proxy: FaultyS3Proxy
):
    protection = world.protection
    proxy.refuse_connections()
    world.source.ledger.write(3)
    base = world.backups.take()
    dump = protection.back_up()
    tree = back_up_tree(world)
    world.source.ledger.write(2)
    world.source.switch()
    world.source.ledger.write(1)
    s3 = protection.storages.pop("s3")
    world.ship()
    protection.storages["s3"] = s3
    assert not base.complete
    assert not dump.complete

    # A day later. The database is not even there any more.
    world.source.stop_receiving()
    world.source.server.stop()
    down = sync(world)
    assert down.retryable
    assert not down.complete
    proxy.accept_connections()
    proxy.plant(answer(503), method="PUT", times=3)
    proxy.plant(cut_request(100), method="PUT", path="/data/", times=1)

    report = sync(world)

    assert report.sentences() == []
    assert set(report.repositories[1].copied) == {base.label, dump.label, tree.text}
    assert content(world, "s3") == content(world, "local")
    assert sync(world).repositories[1].objects == 0
    assert protection.prove(dump.label, repository="s3").matched
    assert verify_tree(
        repository=protection.repository("s3"),
        label=tree,
        keyring=protection.keyring,
        signer=protection.proof_signer,
        settings=TreeVerifySettings(scratch=world.folder / "staging"),
        clock=tomorrow,
        progress=Silent(),
    ).matched
    world.recover("latest", repository="s3")
    assert world.ledger(world.out / "clone") == numbers(6)


class Stuck(PosixStorage):
    """Takes one object of a backup; the next one never ends."""

    def upload(self, key, source):
        if key.endswith("/t/1"):
            signal.pause()
        return super().upload(key, source)


def test_a_sync_that_is_killed_is_swept_up_after_and_finished_by_the_next(tmp_path: Path):
    world = Repositories(tmp_path, {name: PosixStorage(tmp_path / name) for name in ("local", "far")})
    label = world.back_up("local", objects=3)
    doomed = Repositories.__new__(Repositories)
    doomed.__dict__.update(world.__dict__, storages={**world.storages, "far": Stuck(tmp_path / "far")})
    child = Forked(lambda: doomed.sync(settings={"copies_at_once": 1}))
    (first, *_) = world.published("local", label).manifest.objects
    wait_until(lambda: world.storages["far"].stat(first.key) is not None)
    child.kill()

    assert [path.name.startswith("sync-calibrify-") for path in world.settings.staging.iterdir()] == [True]
    assert world.content("far") == {"wal": []}
    assert "are being copied into" in world.sync(destinations=["far"]).sentences()[0]
    world.now += timedelta(minutes=10)

    (far,) = world.sync(destinations=["far"]).repositories

    assert (far.complete, far.objects, far.recognised) == (True, 2, 1)
    assert world.broken_promises("far") == []
    assert list(world.settings.staging.iterdir()) == []
