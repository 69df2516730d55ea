"""What the inventory's tables say of a backup, a verification, a hold: one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.model.backup import Manifest
from backstop.repository.catalog import is_proven

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backstop.model.backup import BackupKind
    from backstop.model.hold import Hold
    from backstop.model.proof import Proof
    from backstop.repository.catalog import Published, Repository

_BACKUP_TYPES = {
    "dump": "database dump",
    "full": "database base backup",
    "incr": "database incremental base backup",
    "tree": "files",
}

_LEFT_OUT: dict[str, Any] = {
    "objects": (),
    "tools": {},
    "summary": {},
    "not_included": (),
    "signature": None,
}


def status_of(proofs: Sequence[Proof]) -> str:
    """``completed`` until a verification says more: then ``proven`` or ``failed``."""
    if not proofs:
        return "completed"
    return "proven" if is_proven(tuple(proofs)) else "failed"


def backup_type(kind: BackupKind) -> str:
    """The kind in words."""
    return _BACKUP_TYPES[kind.value]


def backup_row(repository: Repository, published: Published, proofs: Sequence[Proof]) -> dict[str, Any]:
    """Of ``backup_inventory``."""
    from psycopg.types.json import Jsonb

    manifest = published.manifest
    status = status_of(proofs)
    return {
        "target": manifest.target,
        "label": manifest.label.text,
        "repository": repository.name,
        "repository_id": manifest.repository_id,
        "location": repository.location,
        "backup_type": backup_type(manifest.kind),
        "kind": manifest.kind.value,
        "filename": f"{manifest.target}/meta/manifests/{manifest.label}.json",
        "started_at": manifest.started_at,
        "finished_at": manifest.finished_at,
        "stored_bytes": manifest.stored_bytes,
        "plain_bytes": manifest.plain_bytes,
        "objects": len(manifest.objects),
        "manifest_sha256": published.sha256,
        "encryption_keys": list(manifest.keys),
        "system_id": manifest.system_id,
        "server_version": manifest.server_version,
        "database_name": manifest.database,
        "summary": Jsonb(dict(manifest.summary)),
        "status": status,
        "proven_at": proofs[-1].finished_at if status == "proven" else None,
        "snapshot_at": manifest.snapshot_at,
        "facts": Jsonb(facts_of(manifest)),
    }


def facts_of(manifest: Manifest) -> dict[str, Any]:
    """The manifest without what is large or has a column of its own; :func:`manifest_from` reads it."""
    document = manifest.to_dict()
    for left_out in _LEFT_OUT:
        del document[left_out]
    return document


def manifest_from(facts: Mapping[str, Any], summary: Mapping[str, Any]) -> Manifest:
    """The manifest again, with neither objects nor signature. :raises IntegrityError: of another version."""
    return Manifest.from_dict({**facts, **_LEFT_OUT, "summary": summary})


def proof_row(repository: Repository, proof: Proof) -> dict[str, Any]:
    """Of ``backup_proof``."""
    from psycopg.types.json import Jsonb

    return {
        "target": proof.target,
        "label": proof.label.text,
        "repository": repository.name,
        "manifest_sha256": proof.manifest_sha256,
        "started_at": proof.started_at,
        "finished_at": proof.finished_at,
        "matched": proof.matched,
        "differences": list(proof.differences),
        "seconds": Jsonb(dict(proof.durations)),
        "checks": Jsonb(dict(proof.checks)),
        "server_version": proof.server_version,
        "isolation": proof.isolation,
        "host": proof.host,
        "signing_key": proof.signature.key if proof.signature else None,
    }


def hold_row(repository: Repository, hold: Hold) -> dict[str, Any]:
    """Of ``backup_hold``."""
    return {
        "target": repository.catalog.target,
        "label": hold.label.text,
        "repository": repository.name,
        "number": hold.number,
        "document_sha256": hold.sha256,
        "reason": hold.reason,
        "who": hold.who,
        "placed_at": hold.placed_at,
        "held_until": hold.until,
        "released_at": hold.released_at,
        "released_by": hold.released_by,
        "damage": hold.damage,
    }
