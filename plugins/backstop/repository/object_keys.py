"""What a key in a repository says: whose object it is, and who may be writing it now (docs/format.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backstop.model.backup import BackupLabel

_PAYLOAD = re.compile(
    r"data/(?:database|trees/(?P<tree>[^/]+))/(?P<label>[^/]+)/(?P<attempt>[0-9a-f]{16})/.+"
)
_ABOUT_A_BACKUP = re.compile(
    r"meta/(?P<what>proofs|pins|holds|accepted|expiring|manifests)/(?P<label>[^/]+?)(?:\.json|/.+)"
)
_OTHER_META = re.compile(r"meta/(?:lease|checks|incidents|evidence|legacy)/.+")


@dataclass(frozen=True, slots=True)
class PayloadKey:
    """An object that an attempt at a backup has written."""

    label: BackupLabel
    attempt: str


@dataclass(frozen=True, slots=True)
class AboutBackup:
    """A document about one backup.

    :param what: ``proofs``, ``pins``, ``holds``, ``accepted``, ``expiring`` or ``manifests``.
    """

    label: BackupLabel
    what: str


def payload_key(target: str, key: str) -> PayloadKey | None:
    """None when no backup of ours would call an object so."""
    found = _PAYLOAD.fullmatch(key.removeprefix(f"{target}/"))
    if found is None or not BackupLabel.is_one(found["label"]):
        return None
    label = BackupLabel(found["label"])
    return PayloadKey(label, found["attempt"]) if label.tree == (found["tree"] or "") else None


def about_backup(target: str, key: str) -> AboutBackup | None:
    """None when it is no document about a backup."""
    found = _ABOUT_A_BACKUP.fullmatch(key.removeprefix(f"{target}/"))
    if found is None or not BackupLabel.is_one(found["label"]):
        return None
    return AboutBackup(BackupLabel(found["label"]), found["what"])


def is_other_meta(target: str, key: str) -> bool:
    """Leases, records of checks, incidents, evidence: kept whatever becomes of backups."""
    return _OTHER_META.fullmatch(key.removeprefix(f"{target}/")) is not None
