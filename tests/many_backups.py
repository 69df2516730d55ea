"""A repository of very many backups, in seconds: signed manifests and proofs, written as plain files.

Of the payload nothing lies there; who plans reads none.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backstop.crypto.signing import Signer, create_signing_keys
from backstop.model.backup import BackupKind, BackupLabel, Manifest, StoredObject
from backstop.model.canonical import canonical_json, sha256_hex
from backstop.model.format_version import REPOSITORY_FORMAT
from backstop.model.lsn import Lsn
from backstop.model.proof import Proof

if TYPE_CHECKING:
    from pathlib import Path

TARGET = "calibrify"
EVERY = timedelta(minutes=20)
REPOSITORY_ID = "00000000000000aa"
TREES = ("media", "config", "reports")
_CHAIN = 7


def write_backups(folder: Path, count: int, now: datetime) -> None:
    """Keys into ``folder/signing``, backups into ``folder/repository``: one in 20 minutes, up to ``now``."""
    root = folder / "repository"
    create_signing_keys(folder / "signing")
    manifests = Signer.load(folder / "signing" / "manifest.pem")
    proofs = Signer.load(folder / "signing" / "proof.pem")
    meta = root / TARGET / "meta"
    (meta / "manifests").mkdir(parents=True)
    (root / "repository.json").write_bytes(canonical_json({"format": REPOSITORY_FORMAT, "id": REPOSITORY_ID}))
    history = _History()
    for number in range(count):
        manifest = history.next(number, now - EVERY * (count - number))
        body = write_manifest(meta, manifest, manifests)
        if number % 5:
            write_proof(meta, manifest, body, proofs)


def write_manifest(meta: Path, manifest: Manifest, signer: Signer) -> bytes:
    """:returns: what stands in the file. :param meta: the target's, in the repository."""
    body = canonical_json(signer.sign(manifest).to_dict())
    (meta / "manifests" / f"{manifest.label}.json").write_bytes(body)
    return body


def write_proof(meta: Path, manifest: Manifest, body: bytes, signer: Signer) -> None:
    """It matched, as soon as it was made."""
    place = meta / "proofs" / manifest.label.text
    place.mkdir(parents=True)
    proof = signer.sign(_proof(manifest, sha256_hex(body)))
    (place / f"{manifest.finished_at:%Y%m%dT%H%M%S%fZ}-{manifest.repository_id}.json").write_bytes(
        canonical_json(proof.to_dict())
    )


@dataclass
class _History:
    chain: list[BackupLabel] = field(default_factory=list)
    packs: dict[str, deque[StoredObject]] = field(default_factory=dict)

    def next(self, number: int, at: datetime) -> Manifest:
        turn = number // 3
        if number % 3 == 0:
            label = BackupLabel.at(at, BackupKind.DUMP)
            names = ("t/0", "t/1", "t/2", "t/pack")
            return a_manifest(
                label, at, [an_object(label, name) for name in names], summary={"rows": 10**6 + turn}
            )
        if number % 3 == 1:
            return self._tree(TREES[turn % len(TREES)], at)
        return self._base(turn, at)

    def _tree(self, tree: str, at: datetime) -> Manifest:
        """One new pack, and the three before it."""
        label = BackupLabel.at(at, BackupKind.TREE, tree=tree)
        packs = self.packs.setdefault(tree, deque(maxlen=4))
        packs.append(an_object(label, "packs/0", layout="chunks"))
        origins = tuple(sorted({pack.origin for pack in packs} - {label}))
        return a_manifest(
            label, at, [*packs, an_object(label, "files")], summary={"files": 15_000}, refers_to=origins
        )

    def _base(self, turn: int, at: datetime) -> Manifest:
        if turn % _CHAIN == 0:
            self.chain = []
        label = BackupLabel.at(at, BackupKind.INCREMENTAL if self.chain else BackupKind.FULL)
        made = a_manifest(
            label,
            at,
            [an_object(label, name) for name in ("base/000001", "base/000002", "backup_manifest")],
            summary={"wal_segment_bytes": 16 * 1024 * 1024},
            timeline=1,
            start_lsn=str(Lsn(turn << 24)),
            end_lsn=str(Lsn((turn << 24) + 1000)),
            parent=self.chain[-1] if self.chain else None,
            refers_to=tuple(self.chain),
        )
        self.chain.append(label)
        return made


def an_object(label: BackupLabel, name: str, *, layout: str = "file", target: str = TARGET) -> StoredObject:
    """Of 1000 stored bytes."""
    folder = f"trees/{label.tree}" if label.tree else "database"
    key = f"{target}/data/{folder}/{label}/0123456789abcdef/{name}"
    sha256 = sha256_hex(key.encode())
    return StoredObject(key, layout, name, 2000, 1000, sha256, sha256)


def a_manifest(label: BackupLabel, at: datetime, objects: list[StoredObject], **fields: object) -> Manifest:
    """Made within a minute. :param fields: that differ from the usual ones."""
    made: dict[str, object] = {
        "label": label,
        "target": TARGET,
        "repository_id": REPOSITORY_ID,
        "attempt": "0123456789abcdef",
        "epoch": 1,
        "started_at": at,
        "snapshot_at": at,
        "finished_at": at + timedelta(minutes=1),
        "system_id": "unknown" if label.tree else "7300000000000000000",
        "timeline": None,
        "server_version": 180004,
        "database": "calibrify",
        "tools": {"pg_dump": "18.4"},
        "keys": ("local:1",),
        "objects": tuple(objects),
    }
    return Manifest(**{**made, **fields})  # type: ignore[arg-type]


def _proof(manifest: Manifest, sha256: str) -> Proof:
    at = manifest.finished_at
    return Proof(
        label=manifest.label,
        target=manifest.target,
        repository_id=manifest.repository_id,
        manifest_sha256=sha256,
        started_at=at,
        finished_at=at,
        matched=True,
        differences=(),
        durations={"total": 4.0},
        checks={"tables": 3},
        server_version=180004,
        isolation="none (test)",
        host="test",
    )
