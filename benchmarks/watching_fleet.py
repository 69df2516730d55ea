"""Many targets with a year behind them, in two directories, for a watch of all of them; nothing of it is new.

Each has a dump a day, a small tree a day, a base backup a week, all proven, and a year of WAL (a segment
every 40 minutes). One real PostgreSQL stands for the servers of all, with a slot for each. Payload and WAL
are names alone: files of a day share one inode.
"""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING

import yaml

from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, create_signing_keys
from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.canonical import canonical_json
from backstop.model.format_version import REPOSITORY_FORMAT
from backstop.model.lsn import DEFAULT_SEGMENT_BYTES, Lsn, WalSegment
from backstop.repository.wal_names import WalNames
from tests.fleet import name_of
from tests.many_backups import a_manifest, an_object, write_manifest, write_proof

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backstop.model.backup import Manifest, StoredObject

DAYS = 365
SEGMENTS_A_DAY = 36
DUMP_OBJECTS = 12
REPOSITORIES = ("local", "other")


@dataclass(frozen=True)
class Fleet:
    """:param system_id: of the server, whose WAL has come to segment ``DAYS * SEGMENTS_A_DAY`` by now."""

    folder: Path
    count: int
    system_id: str
    now: datetime

    @property
    def names(self) -> list[str]:
        return [name_of(number) for number in range(self.count)]

    @property
    def targets_yaml(self) -> Path:
        return self.folder / "targets.yaml"

    def write(self, workers: int) -> None:
        """Keys, ``targets.yaml``, and everything in the repositories."""
        LocalKeyring.create(self.folder / "ring.json", self.now)
        create_signing_keys(self.folder / "signing")
        self.targets_yaml.write_text(yaml.safe_dump(self._document()))
        days = self.folder / "days"
        days.mkdir()
        for day in range(-1, DAYS):
            file = days / str(day)
            file.write_bytes(b"w" * 1000)
            os.utime(file, (self._at(day, 23).timestamp(),) * 2)
        for name in REPOSITORIES:
            (self.folder / name).mkdir()
            (self.folder / name / "repository.json").write_bytes(
                canonical_json({"format": REPOSITORY_FORMAT, "id": _id_of(name)})
            )
        with ProcessPoolExecutor(workers) as pool:
            list(pool.map(partial(_write_target, self), self.names))

    def archive(self, position: Lsn) -> None:
        """What archive-wal does all the time: the repositories have what the server has written by now."""
        segment = WalSegment.containing(position, timeline=1)
        length = position - segment.start
        for target in self.names:
            key = WalNames(target, self.system_id).delta(segment, 0, length, hashlib.sha256().hexdigest())
            for name in REPOSITORIES:
                path = self.folder / name / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"w" * 100)

    def _document(self) -> dict[str, object]:
        kept = dict.fromkeys(REPOSITORIES, "400d")
        target = {
            "keys": "site",
            "database": {
                "conn_id": "database",
                "dbname": "postgres",
                "schedule": "0 1 * * *",
                "repositories": list(REPOSITORIES),
                "retention": kept,
                "objectives": {"rto": "1h", "rpo": "5m"},
            },
            "cluster": {"conn_id": "database", "full": "0 3 * * 0", "wal": {"runner": "service"}},
            "trees": {
                "config": {"paths": ["/etc/hostname"], "schedule": "0 2 * * *", "retention": kept},
            },
        }
        key = {
            "storage": "local",
            "path": str(self.folder / "ring.json"),
            "signing": str(self.folder / "signing"),
            "escrow": {"waived": "benchmark"},
        }
        return {
            "version": 1,
            "keys": {"site": key},
            "repositories": {
                name: {"type": "posix", "path": str(self.folder / name)} for name in REPOSITORIES
            },
            "inventory": {"conn_id": "inventory"},
            "targets": dict.fromkeys(self.names, target),
        }

    def _at(self, day: int, hour: int) -> datetime:
        """Day ``DAYS - 1`` is today."""
        today = self.now.replace(hour=hour, minute=0, second=0, microsecond=0)
        return today - timedelta(days=DAYS - 1 - day)

    # -- One target ------------------------------------------------------------------------------------------

    def write_target(self, target: str) -> None:
        for name in REPOSITORIES:
            root = self.folder / name
            (root / target / "meta" / "manifests").mkdir(parents=True)
            self._write_backups(target, root)
            self._write_wal(target, root)

    def _write_backups(self, target: str, root: Path) -> None:
        meta = root / target / "meta"
        manifests = Signer.load(self.folder / "signing" / "manifest.pem")
        proofs = Signer.load(self.folder / "signing" / "proof.pem")
        for day in range(DAYS):
            for manifest in self._backups(target, day, root.name):
                if manifest.finished_at > self.now:
                    continue
                body = write_manifest(meta, manifest, manifests)
                # Of a base backup that looks new all WAL would be listed.
                written = meta / "manifests" / f"{manifest.label}.json"
                os.utime(written, (manifest.finished_at.timestamp(),) * 2)
                write_proof(meta, manifest, body, proofs)
                self._link(root, day, [stored.key for stored in manifest.objects])

    def _backups(self, target: str, day: int, repository: str) -> Iterator[Manifest]:
        usual = {
            "target": target,
            "repository_id": _id_of(repository),
            "system_id": self.system_id,
            "keys": LocalKeyring.load(self.folder / "ring.json").key_ids,
        }

        def objects(label: BackupLabel, *names: str, layout: str = "file") -> list[StoredObject]:
            return [an_object(label, name, layout=layout, target=target) for name in names]

        at = self._at(day, 1)
        label = BackupLabel.at(at, BackupKind.DUMP)
        names = (f"t/{number}" for number in range(DUMP_OBJECTS))
        yield a_manifest(label, at, objects(label, *names), summary={"rows": 10**6 + day}, **usual)
        at = self._at(day, 2)
        label = BackupLabel.at(at, BackupKind.TREE, tree="config")
        stored = objects(label, "packs/0", layout="chunks")
        yield a_manifest(label, at, stored, summary={"files": 100}, **{**usual, "system_id": "unknown"})
        at = self._at(day, 3)
        if at.weekday() == 6:
            label = BackupLabel.at(at, BackupKind.FULL)
            start = WalSegment(1, day * SEGMENTS_A_DAY + 4, DEFAULT_SEGMENT_BYTES).start
            yield a_manifest(
                label,
                at,
                objects(label, "base/000001"),
                summary={"wal_segment_bytes": DEFAULT_SEGMENT_BYTES},
                timeline=1,
                start_lsn=str(start),
                end_lsn=str(Lsn(start.position + 4096)),
                **usual,
            )

    def _write_wal(self, target: str, root: Path) -> None:
        names = WalNames(target, self.system_id)
        for day in range(DAYS):
            first = day * SEGMENTS_A_DAY
            segments = (
                WalSegment(1, number, DEFAULT_SEGMENT_BYTES)
                for number in range(first, first + SEGMENTS_A_DAY)
            )
            # What was written today is older than now.
            self._link(
                root,
                min(day, DAYS - 2),
                [names.segment(one, hashlib.sha256().hexdigest()) for one in segments],
            )

    def _link(self, root: Path, day: int, keys: list[str]) -> None:
        for folder in {key.rpartition("/")[0] for key in keys}:
            (root / folder).mkdir(parents=True, exist_ok=True)
        source = self.folder / "days" / str(day)
        for key in keys:
            os.link(source, f"{root}/{key}")


def _write_target(fleet: Fleet, target: str) -> None:
    fleet.write_target(target)


def _id_of(repository: str) -> str:
    return hashlib.sha256(repository.encode()).hexdigest()[:16]


def slot_of(target: str) -> str:
    """As it is named where targets.yaml says nothing."""
    return f"backstop_{re.sub('[^a-z0-9_]', '_', target)}"


def utc_now() -> datetime:
    return datetime.now(timezone.utc)
