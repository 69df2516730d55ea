"""A backup that was encrypted anew: the same content under another label, which says whose it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError
from backstop.model.backup import BackupLabel
from backstop.model.canonical import canonical_json, format_time, sha256_hex
from backstop.model.retention_candidate import needs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from backstop.model.backup import Manifest, StoredObject

REENCRYPTED_FROM = "reencrypted_from"
"""Entry of a manifest's ``summary``: the label of the backup whose content it holds."""
_FIRST_TWO = timedelta(microseconds=1)
_LAST = datetime.max.replace(tzinfo=timezone.utc) - _FIRST_TWO
"""A forged backup may say that it finished at the end of time."""
_STAMP = len("20261123T010000Z")


@dataclass(frozen=True, slots=True)
class Content:
    """What has to be known of a manifest to tell what stands for what; small, however large the backup.

    :param needs: backups that a restore of it reads, in order.
    """

    digest: str
    finished_at: datetime
    reencrypted_from: BackupLabel | None
    needs: tuple[BackupLabel, ...]

    @classmethod
    def of(cls, manifest: Manifest) -> Content:
        return cls(
            content_digest(manifest), manifest.finished_at, reencrypted_from(manifest), needs_of(manifest)
        )


def reencrypted_from(manifest: Manifest) -> BackupLabel | None:
    """Whose content it says that it holds: believe it only where :func:`content_digest` is the same."""
    said = manifest.summary.get(REENCRYPTED_FROM)
    if not isinstance(said, str) or not BackupLabel.is_one(said) or said == manifest.label.text:
        return None
    return BackupLabel(said)


def content_digest(manifest: Manifest) -> str:
    """Of all that a restore brings back, whoever encrypted it and wherever it lies.

    What other backups it needs is not part of it, because theirs have other labels once they are encrypted
    anew; compare that apart (:func:`successors_in`).
    """
    summary = {name: value for name, value in manifest.summary.items() if name != REENCRYPTED_FROM}
    document = {
        "kind": manifest.label.component + manifest.kind.value,
        "target": manifest.target,
        "started_at": format_time(manifest.started_at),
        "snapshot_at": format_time(manifest.snapshot_at),
        "cluster": [manifest.system_id, manifest.timeline, manifest.start_lsn, manifest.end_lsn],
        "server": [manifest.server_version, manifest.database],
        "summary": summary,
        "not_included": list(manifest.not_included),
        "objects": sorted(
            [stored.layout, stored.name, stored.plain_bytes, stored.plain_sha256]
            for stored in manifest.objects
        ),
    }
    return sha256_hex(canonical_json(document))


def finished_after(finished_at: datetime) -> datetime:
    """When the new backup says it finished: next to the old one, and before it wherever the newest counts."""
    return min(finished_at, _LAST) + _FIRST_TWO


def free_label(label: BackupLabel, taken: Callable[[BackupLabel], bool]) -> BackupLabel:
    """The first label of the seconds after the old one's that nothing has: retention and locks go by age.

    :raises IntegrityError: there is no later second: somebody has forged the label.
    """
    begun = datetime.strptime(label.text[:_STAMP], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    seconds = 1
    while True:
        if begun > _LAST - timedelta(seconds=seconds):
            raise IntegrityError(
                f"backup {label} says that it began at the end of time",
                hint="somebody has forged it: find out whose credentials did",
            )
        found = BackupLabel.at(begun + timedelta(seconds=seconds), label.kind, tree=label.tree)
        if not taken(found):
            return found
        seconds += 1


def encrypted_anew(
    manifest: Manifest,
    *,
    label: BackupLabel,
    attempt: str,
    objects: Sequence[StoredObject],
    keys: Iterable[str],
    successors: Mapping[BackupLabel, BackupLabel],
) -> Manifest:
    """The manifest of the new backup, unsigned.

    :param successors: by label, what stands for the backups that it needs.
    """
    needed = tuple(successors.get(one, one) for one in manifest.refers_to)
    if label.tree:
        needed = tuple(sorted({stored.origin for stored in objects} - {label}))
    return replace(
        manifest,
        label=label,
        repository_id="",
        attempt=attempt,
        epoch=0,
        finished_at=finished_after(manifest.finished_at),
        keys=tuple(sorted(keys)),
        objects=tuple(sorted(objects, key=lambda stored: stored.key)),
        parent=successors.get(manifest.parent, manifest.parent) if manifest.parent else None,
        refers_to=needed,
        summary={**manifest.summary, REENCRYPTED_FROM: manifest.label.text},
        signature=None,
    )


def successors_in(manifests: Mapping[BackupLabel, Content]) -> dict[BackupLabel, BackupLabel]:
    """By label of an old backup, the new one that holds all of its content; untrue claims are none.

    :param manifests: all of a repository.
    """
    found: dict[BackupLabel, BackupLabel] = {}
    for label in sorted(manifests):
        old = manifests[label].reencrypted_from
        if old is not None and old not in found and old in manifests:
            one = manifests[old]
            if manifests[label].digest == one.digest and manifests[label].finished_at == finished_after(
                one.finished_at
            ):
                found[old] = label
    # What a backup needs has to be the same, too; an untrue one may make others untrue.
    while untrue := [old for old, new in found.items() if not _same_needs(manifests, found, old, new)]:
        for old in untrue:
            del found[old]
    return found


def _same_needs(
    manifests: Mapping[BackupLabel, Content],
    found: Mapping[BackupLabel, BackupLabel],
    old: BackupLabel,
    new: BackupLabel,
) -> bool:
    before, after = manifests[old].needs, manifests[new].needs
    return len(before) == len(after) and all(
        one == other or found.get(one) == other for one, other in zip(before, after, strict=True)
    )
