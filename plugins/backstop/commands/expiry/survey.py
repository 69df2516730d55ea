"""What one repository holds, as far as expiry must know: from manifests, proofs, holds and pins alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from backstop.commands.expiry.references import References, folders
from backstop.errors import IntegrityError
from backstop.model.backup import BackupLabel
from backstop.model.reencryption import Content, successors_in
from backstop.model.retention_candidate import candidate_of, segment_bytes_of
from backstop.model.retention_groups import STANDSTILL
from backstop.repository.catalog import UnreadableManifestError
from backstop.repository.expiring import ExpiringMarks
from backstop.repository.hidden import hidden_manifests
from backstop.repository.holds import Holds
from backstop.repository.pins import readers
from backstop.repository.read_ahead import read_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from backstop.model.backup import Manifest
    from backstop.model.proof import Proof
    from backstop.model.retention import Candidate
    from backstop.repository.catalog import Repository
    from backstop.repository.published import Verifications

UNCERTAIN = "everything but dumps"
"""In place of a group, for what may need anything; a dump needs nothing of any other backup."""


def everything(label: BackupLabel) -> bool:
    """All backups of the target."""
    return True


@dataclass(slots=True)
class Survey:
    """What was found, nothing of it larger than a few hundred bytes a backup.

    :param sha256: of each manifest; :param segment_bytes: of each cluster's WAL, None: its backups differ.
    :param unreadable: manifests that may need anything of their group, and proofs that cannot be believed.
    :param closed: groups of which nothing may go, in words why.
    """

    candidates: dict[BackupLabel, Candidate] = field(default_factory=dict)
    sha256: dict[BackupLabel, str] = field(default_factory=dict)
    segment_bytes: dict[str, int | None] = field(default_factory=dict)
    references: References = field(default_factory=References)
    unreadable: list[IntegrityError] = field(default_factory=list)
    closed: dict[str, str] = field(default_factory=dict)

    @property
    def newest(self) -> datetime | None:
        """When the newest backup had finished."""
        return max((one.finished_at for one in self.candidates.values()), default=None)

    def why_closed(self, group: str) -> str | None:
        """A sentence, when nothing of this group may go."""
        return self.closed.get(group) or (self.closed.get(UNCERTAIN) if group != "dump" else None)


def believable(now: datetime, newest: datetime | None) -> datetime:
    """The moment by which holds and readers are judged: a clock that is weeks ahead must not end them.

    :param newest: when the newest backup of all had finished.
    """
    return now if newest is None else min(now, newest + STANDSTILL)


def survey(
    repository: Repository,
    *,
    now: datetime,
    wanted: Callable[[BackupLabel], bool] = everything,
    newest: datetime | None = None,
    hidden: bool = True,
) -> Survey:
    """Read the repository's catalogue, holds and pins.

    :param wanted: only these backups; what names no backup is always seen.
    :param newest: when the newest of all backups had finished, where only some are wanted.
    :param hidden: look for deleted manifests behind the current ones, too; who deletes nothing need not.
    :raises StorageError: the repository cannot be asked; :raises IntegrityError: a hold names no backup.
    """
    found = Survey()
    contents: dict[BackupLabel, Content] = {}
    for one in repository.catalog.each(wanted=wanted):
        if isinstance(one, UnreadableManifestError):
            _close(found, one)
            continue
        manifest = one.manifest
        _close_for_strangers(found, manifest)
        found.references.add(manifest)
        found.sha256[manifest.label] = one.sha256
        found.candidates[manifest.label] = candidate_of(manifest)
        contents[manifest.label] = Content.of(manifest)
        _note_segments(found, manifest)
    for old, new in successors_in(contents).items():
        found.candidates[new] = replace(found.candidates[new], replaces=old)
    if hidden:
        known = {*found.candidates, *_unreadable_labels(found), *ExpiringMarks(repository).labels()}
        for error in hidden_manifests(repository, known=known, wanted=wanted):
            _close(found, error)
    _judge(repository, found)
    _hold(repository, found, now=believable(now, newest or found.newest))
    _close_groups(found)
    return found


def _unreadable_labels(found: Survey) -> Iterator[BackupLabel]:
    for error in found.unreadable:
        if isinstance(error, UnreadableManifestError) and error.label is not None:
            yield error.label


def _close(found: Survey, error: UnreadableManifestError) -> None:
    found.unreadable.append(error)
    group = error.label.lease_kind if error.label else UNCERTAIN
    if group != "dump":
        found.closed[group] = f"a manifest cannot be read, and may need anything: {error.message}"


def _close_for_strangers(found: Survey, manifest: Manifest) -> None:
    try:
        folders(manifest)
    except IntegrityError as error:
        found.unreadable.append(error)
        found.closed[UNCERTAIN] = found.closed["dump"] = error.message


def _note_segments(found: Survey, manifest: Manifest) -> None:
    if manifest.kind.physical:
        size = segment_bytes_of(manifest)
        known = found.segment_bytes.setdefault(manifest.system_id, size)
        if known != size:
            found.segment_bytes[manifest.system_id] = None


def _judge(repository: Repository, found: Survey) -> None:
    """Which are proven. Only those that have any proof are asked about."""
    records = repository.catalog.proof_records
    keys = records.keys()
    asked = [label for label in found.candidates if label in keys]
    if not asked:
        return
    repository_id = repository.catalog.repository_id()

    def judge(label: BackupLabel) -> tuple[BackupLabel, Verifications]:
        sha256 = found.sha256[label]
        return label, records.of(label, repository_id=repository_id, manifest_sha256=sha256, keys=keys[label])

    for label, judged in read_ahead(asked, judge, name="proof"):
        found.unreadable += judged.unreadable
        if judged.proven:
            whole = not label.tree or any(map(_is_whole, judged.counting))
            found.candidates[label] = replace(found.candidates[label], proven=True, proven_whole=whole)


def _is_whole(proof: Proof) -> bool:
    """Of a tree: whether all of it was restored, and not a share."""
    return proof.matched and str(proof.checks.get("share")) == "1"


def _hold(repository: Repository, found: Survey, *, now: datetime) -> None:
    storage, target = repository.storage, repository.catalog.target
    for label, holds in Holds(repository).in_force(now).items():
        _keep(found, label, tuple(str(hold) for hold in holds))
    for label in labels_below(repository, "pins") & found.candidates.keys():
        reading = readers(storage, target, label, now=now)
        _keep(found, label, tuple(f"it is being read: {reader.holder}" for reader in reading))
        if reading:
            found.candidates[label] = replace(found.candidates[label], read_now=True)


def labels_below(repository: Repository, folder: str) -> set[BackupLabel]:
    """Backups of which a folder of ``meta``, such as ``pins``, holds anything."""
    prefix = f"{repository.catalog.target}/meta/{folder}/"
    return set(_labels(repository, prefix))


def _labels(repository: Repository, prefix: str) -> Iterator[BackupLabel]:
    last = ""
    for info in repository.storage.list(prefix):
        name = info.key[len(prefix) :].partition("/")[0]
        if name != last and BackupLabel.is_one(name):
            yield BackupLabel(name)
        last = name


def _keep(found: Survey, label: BackupLabel, reasons: tuple[str, ...]) -> None:
    candidate = found.candidates.get(label)
    if candidate is not None and reasons:
        found.candidates[label] = replace(candidate, kept_because=(*candidate.kept_because, *reasons))


def _close_groups(found: Survey) -> None:
    for label in found.candidates:
        if why := found.why_closed(label.lease_kind):
            _keep(found, label, (why,))
