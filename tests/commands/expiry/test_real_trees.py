"""Expiry beside the real backup of a tree: what is left is restored byte for byte."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from backstop.commands.expiry.carry_out import carry_out
from backstop.commands.expiry.plan import plan_expiry
from backstop.commands.expiry.settings import ExpirySettings
from backstop.crypto.signing import Signer
from backstop.errors import LeaseHeldError
from backstop.model.backup import BackupLabel
from backstop.model.proof import Proof
from backstop.model.retention import RetentionPolicy
from backstop.storage.memory import MemoryStorage
from backstop.storage.posix import PosixStorage
from tests.trees import ProtectedTree

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.backup_report import TreeBackupReport

NEWEST = ExpirySettings(policies=lambda label: RetentionPolicy(keep_last=1, min_proven=1))


@dataclass
class Expiring(ProtectedTree):
    """A tree whose backups are declared proven."""

    def prove(self, report: TreeBackupReport) -> None:
        published = self.repository().catalog.backup(BackupLabel(report.label))
        proof = Proof(
            label=published.manifest.label,
            target="calibrify",
            repository_id=published.manifest.repository_id,
            manifest_sha256=published.sha256,
            started_at=self.clock(),
            finished_at=self.clock(),
            matched=True,
            differences=(),
            durations={},
            checks={},
            server_version=0,
            isolation="none (test)",
            host="test",
        )
        signer = Signer.load(self.folder / "keys" / "signing" / "proof.pem")
        self.repository().catalog.record_proof(proof, signer=signer)

    def expire(self) -> list[str]:
        plan = plan_expiry(self.repository(), settings=NEWEST, now=self.clock())
        report = carry_out(plan, self.repository(), inventory=None, clock=self.clock)
        return [label.text for label in report.expired]


def change(tree: Expiring, day: int) -> None:
    """A file of each day stays, one changes every day, and one of the first day goes on the third."""
    (tree.source / f"day {day} 'ü\".bin").write_bytes(os.urandom(50_000))
    (tree.source / "changes").write_bytes(os.urandom(50_000))
    if day == 0:
        (tree.source / "goes").write_bytes(os.urandom(50_000))
    if day == 2:
        (tree.source / "goes").unlink()


def test_whatever_goes_the_newest_backup_is_restored_as_it_was(tmp_path: Path) -> None:
    tree = Expiring(tmp_path, {"local": PosixStorage(tmp_path / "repository")})
    reports = []
    for day in range(5):
        change(tree, day)
        reports.append(tree.back_up())
        tree.prove(reports[-1])
        gone = tree.expire()
        assert gone == ([reports[-2].label] if day else [])
        assert tree.contents(reports[-1]) == tree.on_disk()

    assert tree.labels() == [reports[-1].label]
    # Packs of backups that have gone are there for what they hold; nothing else of them is.
    stored = {info.key for info in tree.storages["local"].list("calibrify/data/")}
    assert stored == {one.key for one in tree.manifest(reports[-1]).objects}
    assert {one.origin.text for one in tree.manifest(reports[-1]).objects} > {reports[-1].label}


class Meeting(MemoryStorage):
    """Calls ``then`` once, right before the first payload is stored or removed."""

    then = staticmethod(lambda: None)

    def meet(self, key: str) -> None:
        if "/data/" in key:
            then, self.then = self.then, lambda: None
            then()

    def upload(self, key, source):
        self.meet(key)
        return super().upload(key, source)

    def delete_many(self, versions):
        doomed = list(versions)
        for key, _ in doomed:
            self.meet(key)
        return super().delete_many(doomed)


@pytest.mark.parametrize("first", ["backup", "expiry"])
def test_a_backup_and_an_expiry_at_once_exclude_each_other(tmp_path: Path, first: str) -> None:
    storage = Meeting()
    tree = Expiring(tmp_path, {"local": storage})
    labels = []
    for day in range(2):
        change(tree, day)
        report = tree.back_up()
        tree.prove(report)
        labels.append(report.label)
    met: list[object] = []
    if first == "backup":
        storage.then = lambda: met.append(tree.expire())
        change(tree, 2)
        report = tree.back_up()
        assert met == [[]]  # it waited
        assert tree.labels() == [*labels, report.label]
    else:

        def back_up() -> None:
            with pytest.raises(LeaseHeldError, match="expire"):
                tree.back_up()
            met.append(True)

        storage.then = back_up
        assert tree.expire() == labels[:1]
        assert met
        change(tree, 2)
        report = tree.back_up()

    assert tree.contents(report) == tree.on_disk()
