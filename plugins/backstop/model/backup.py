"""What a backup is: its stored objects and the manifest that publishes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backstop.errors import ConfigurationError, IntegrityError
from backstop.model.backup_label import BackupKind, BackupLabel
from backstop.model.canonical import format_time, parse_time
from backstop.model.format_version import Readers
from backstop.model.kinds import (
    require_counts,
    require_figures,
    require_moments,
    require_sizes,
    require_texts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["MANIFEST_FORMAT", "BackupKind", "BackupLabel", "Manifest", "Signature", "StoredObject"]

MANIFEST_FORMAT = 1
"""What this release writes."""

_ORIGIN = re.compile(r"[^/]+/data/(?:database|trees/[^/]+)/(?P<label>[^/]+)/")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One ciphertext object of a backup.

    :param key: full key in the repository, ``<target>/data/database/<label>/<attempt>/t/7``.
    :param layout: ``file`` (the plaintext is one file called ``name``), ``tar`` (several small files),
        ``base`` (a part of a base backup: a tar of whole files below the folder that ``name`` begins with),
        or ``chunks`` (a pack of a file tree: a tar of pieces of content, each named by its SHA-256).
    :param name: for ``file``, the file name inside the dump directory, such as ``toc.dat``; for ``base``,
        ``base/000001``, or a tablespace's oid and the part's number; for ``chunks``, a name that no other
        pack of the tree has.
    """

    key: str
    layout: str
    name: str
    plain_bytes: int
    stored_bytes: int
    plain_sha256: str
    stored_sha256: str
    version_id: str | None = None

    @property
    def origin(self) -> BackupLabel:
        """The backup that wrote it: a backup of a file tree refers to packs of earlier ones, too.

        :raises IntegrityError: the key is none of ours.
        """
        found = _ORIGIN.match(self.key)
        try:
            return BackupLabel(found["label"] if found else "")
        except ValueError:
            raise IntegrityError(
                f"object {self.key!r} belongs to no backup", hint="Backstop did not write this manifest"
            ) from None

    def to_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "layout": self.layout,
            "name": self.name,
            "plain_bytes": self.plain_bytes,
            "plain_sha256": self.plain_sha256,
            "stored_bytes": self.stored_bytes,
            "stored_sha256": self.stored_sha256,
            "version_id": self.version_id,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> StoredObject:
        """:raises KeyError, TypeError: it is none."""
        one = cls(**{name: raw[name] for name in cls.__dataclass_fields__})
        require_texts(
            (one.key, one.layout, one.name, one.plain_sha256, one.stored_sha256, one.version_id or "")
        )
        require_sizes((one.plain_bytes, one.stored_bytes))
        return one


@dataclass(frozen=True, slots=True)
class Signature:
    """Over the canonical JSON of everything but itself.

    :param key: the signing key's id (first 16 hex digits of the SHA-256 of its public key).
    :param value: the signature, lower-case hexadecimal.
    :param algorithm: another one for evidence that AWS KMS signs alone.
    """

    key: str
    value: str
    algorithm: str = "ed25519"

    def to_dict(self) -> dict[str, str]:
        return {self.algorithm: self.value, "key": self.key}

    @classmethod
    def from_dict(cls, raw: Mapping[str, str] | None) -> Signature | None:
        """:raises ValueError: it is none."""
        if raw is None:
            return None
        [algorithm] = [name for name in raw if name != "key"]
        signature = cls(key=raw["key"], value=raw[algorithm], algorithm=algorithm)
        if not all(isinstance(part, str) for part in (signature.key, signature.value)):
            raise ValueError("a signature of other things than text")
        return signature


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything a reader needs to know about one backup in one repository.

    Its appearance publishes the backup. All times are aware; sizes are in bytes. Equal in every
    repository but for ``repository_id`` and the objects' ``version_id``.
    """

    label: BackupLabel
    target: str
    repository_id: str
    attempt: str
    epoch: int
    started_at: datetime
    snapshot_at: datetime
    """The moment whose data this is, by the database's clock: loss is counted from here."""
    finished_at: datetime
    system_id: str
    timeline: int | None
    server_version: int
    """As ``SHOW server_version_num``: 180004 is 18.4."""
    database: str
    """Empty for a base backup, which holds all of the cluster's."""
    tools: Mapping[str, str]
    keys: tuple[str, ...]
    objects: tuple[StoredObject, ...]
    parent: BackupLabel | None = None
    start_lsn: str | None = None
    end_lsn: str | None = None
    refers_to: tuple[BackupLabel, ...] = ()
    summary: Mapping[str, int | float | str] = field(default_factory=dict)
    """Figures for people: tables, rows, snapshot_seconds. Never names of tables, never secrets."""
    not_included: tuple[str, ...] = ()
    """What the backup role was not allowed to read, in words."""
    signature: Signature | None = None
    format: int = MANIFEST_FORMAT
    """What it was written in: its signature covers that too, and a copy of it says the same."""

    @property
    def kind(self) -> BackupKind:
        return self.label.kind

    def require_dump(self) -> None:
        """:raises ConfigurationError: this is no dump: a restore of one database cannot use it."""
        if self.kind is BackupKind.TREE:
            raise ConfigurationError(
                f"{self.label} of {self.target} is no dump, but a backup of files",
                hint="choose a dump, or restore files with `python -m backstop restore-files`",
            )
        if self.kind is not BackupKind.DUMP:
            raise ConfigurationError(
                f"{self.label} of {self.target} is no dump, but a copy of the whole cluster's files",
                hint="choose a dump, or recover the cluster to a point in time",
            )

    def require_tree(self) -> None:
        """:raises ConfigurationError: this is no backup of a file tree."""
        if self.kind is not BackupKind.TREE:
            raise ConfigurationError(
                f"{self.label} of {self.target} holds no file tree",
                hint=f"see `python -m backstop list --target {self.target}`",
            )

    @property
    def plain_bytes(self) -> int:
        return sum(stored.plain_bytes for stored in self.objects)

    @property
    def stored_bytes(self) -> int:
        return sum(stored.stored_bytes for stored in self.objects)

    @property
    def server_major(self) -> int:
        return self.server_version // 10000

    def object_named(self, name: str) -> StoredObject:
        """The ``file`` object of that name.

        :raises IntegrityError: when the manifest lists none.
        """
        for stored in self.objects:
            if stored.layout == "file" and stored.name == name:
                return stored
        raise IntegrityError(
            f"manifest {self.label} of {self.target} lists no object {name!r}",
            hint="this backup cannot be restored; choose another",
        )

    def require_kinds(self) -> None:
        """:raises TypeError, ValueError: a value is of another kind than those that Backstop writes."""
        require_texts((self.target, self.repository_id, self.attempt, self.system_id, self.database))
        require_texts((*self.keys, *self.not_included))
        require_counts((self.server_version, 0 if self.timeline is None else self.timeline))
        require_figures(self.summary)
        require_figures(self.tools)
        require_moments((self.started_at, self.snapshot_at, self.finished_at))
        require_texts((self.start_lsn or "", self.end_lsn or ""))
        if type(self.epoch) is not int:
            raise TypeError(f"epoch {self.epoch!r:.80} is no number")

    def signed_part(self) -> dict[str, Any]:
        """What the signature covers."""
        return {
            "attempt": self.attempt,
            "database": self.database,
            "end_lsn": self.end_lsn,
            "epoch": self.epoch,
            "finished_at": format_time(self.finished_at),
            "format": self.format,
            "keys": list(self.keys),
            "kind": self.kind.value,
            "label": self.label.text,
            "not_included": list(self.not_included),
            "objects": [stored.to_dict() for stored in self.objects],
            "parent": self.parent.text if self.parent else None,
            "refers_to": [label.text for label in self.refers_to],
            "repository_id": self.repository_id,
            "server_version": self.server_version,
            "snapshot_at": format_time(self.snapshot_at),
            "start_lsn": self.start_lsn,
            "started_at": format_time(self.started_at),
            "summary": dict(self.summary),
            "system_id": self.system_id,
            "target": self.target,
            "timeline": self.timeline,
            "tools": dict(self.tools),
        }

    def to_dict(self) -> dict[str, Any]:
        document = self.signed_part()
        document["signature"] = self.signature.to_dict() if self.signature else None
        return document

    def with_signature(self, signature: Signature) -> Manifest:
        return replace(self, signature=signature)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Manifest:
        """Read a manifest's JSON document.

        :raises FormatTooNewError: a newer release wrote it.
        :raises IntegrityError: a field is missing or malformed.
        """
        return _READERS.read(raw, name=f"{raw.get('label')!r:.80}")

    @classmethod
    def _from_version_1(cls, raw: Mapping[str, Any]) -> Manifest:
        try:
            manifest = cls(
                label=BackupLabel(raw["label"]),
                target=raw["target"],
                repository_id=raw["repository_id"],
                attempt=raw["attempt"],
                epoch=raw["epoch"],
                started_at=parse_time(raw["started_at"]),
                snapshot_at=parse_time(raw["snapshot_at"]),
                finished_at=parse_time(raw["finished_at"]),
                system_id=raw["system_id"],
                timeline=raw["timeline"],
                server_version=raw["server_version"],
                database=raw["database"],
                tools=raw["tools"],
                keys=tuple(raw["keys"]),
                objects=tuple(StoredObject.from_dict(stored) for stored in raw["objects"]),
                parent=BackupLabel(raw["parent"]) if raw["parent"] else None,
                start_lsn=raw["start_lsn"],
                end_lsn=raw["end_lsn"],
                refers_to=tuple(BackupLabel(text) for text in raw["refers_to"]),
                summary=raw["summary"],
                not_included=tuple(raw["not_included"]),
                signature=_signature(raw["signature"]),
                format=1,
            )
            manifest.require_kinds()
            return manifest
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"manifest {raw.get('label')!r} is malformed: {error}",
                hint="compare it with the copy in the other repository",
            ) from error


def _signature(raw: Mapping[str, str] | None) -> Signature | None:
    return Signature(key=raw["key"], value=raw["ed25519"]) if raw else None


_READERS: Readers[Manifest] = Readers("manifest", {1: Manifest._from_version_1})
