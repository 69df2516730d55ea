"""Somebody with the credentials of one role: what its policy grants is done, all else is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from backstop.errors import BackstopError
from backstop.model.access_policy import Place, statements
from backstop.model.canonical import canonical_json, sha256_hex
from backstop.repository.stored import open_stored
from tests.syncing import TARGET

if TYPE_CHECKING:
    from backstop.model.access import AccessRole
    from backstop.model.backup import BackupLabel, Manifest
    from tests.observing import World

STOLEN_FROM = "s3"


class DeniedError(Exception):
    """The bucket's answer to what the role's policy does not grant."""


@dataclass
class Thief:
    """:param role: whose credentials: for the one bucket, and the keys that lie beside them."""

    world: World
    role: AccessRole

    @property
    def storage(self) -> Any:
        return self.world.storages[STOLEN_FROM]

    def put(self, key: str, body: bytes) -> None:
        """As a bucket with versions does it: a former version stays."""
        self._ask("s3:PutObject", key)
        if self.storage.stat(key) is not None:
            self.storage.delete(key)
            self.storage._past[key] = [one for one in self.storage._past[key] if not one[1].is_marker]
        self.storage.upload(key, body)

    def read(self, key: str) -> bytes:
        self._ask("s3:GetObject", key)
        return bytes(self.storage.read(key))

    def mark_deleted(self, key: str) -> None:
        self._ask("s3:DeleteObject", key)
        self.storage.delete(key)

    def destroy(self, key: str) -> None:
        """Every version of it."""
        self._ask("s3:DeleteObjectVersion", key)
        kept = self.storage.delete_many((one.key, one.version_id) for one in self.storage.versions_of(key))
        if kept:
            raise DeniedError(f"{key} is locked")

    def forge(self, manifest: Manifest, **changes: Any) -> None:
        """A manifest that is right in itself, signed with the key that lies on the writers' machines."""
        forged = self.world.signer.sign(replace(manifest, **changes))
        self.put(self.world.manifest_key(forged.label), canonical_json(forged.to_dict()))

    def _ask(self, action: str, key: str) -> None:
        place = Place("b", targets=(TARGET,))
        for one in statements(self.role, place):
            patterns = [resource.removeprefix(f"{place.arn}/") for resource in one["Resource"]]
            if action in one["Action"] and any(fnmatchcase(key, pattern) for pattern in patterns):
                return
        raise DeniedError(f"{self.role.value}: {action} on {key}")


def restorable(world: World) -> set[BackupLabel]:
    """Proven backups that some repository still gives whole, byte for byte."""
    return {label for name in world.names for label in _restorable_in(world, name)}


def _restorable_in(world: World, name: str) -> set[BackupLabel]:
    catalog, storage = world.target_repository(name).catalog, world.storages[name]
    found = set()
    try:
        listed = catalog.backups().backups
    except BackstopError:
        return found
    for published in listed:
        try:
            whole = all(
                sha256_hex(open_stored(storage, stored).__enter__().read()) == stored.stored_sha256
                for stored in published.manifest.objects
            )
            if whole and catalog.verifications(published).proven:
                found.add(published.manifest.label)
        except BackstopError:
            continue
    return found


def versions_of_truth(world: World, known: dict[str, bytes]) -> set[str]:
    """Keys in the bucket whose true bytes are there still, if only as a former version."""
    storage = world.storages[STOLEN_FROM]
    return {
        key
        for key, body in known.items()
        if any(
            storage.read(key, version_id=one.version_id) == body
            for one in storage.versions_of(key)
            if not one.is_marker
        )
    }


def document(**fields: Any) -> bytes:
    return json.dumps(fields).encode()
