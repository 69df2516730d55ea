"""Two repositories that live through days and are watched: what is there is real, the clock is not."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from backstop.commands.proof.work import Policies
from backstop.commands.sync.settings import SyncSettings
from backstop.commands.watch.observe import observe_target
from backstop.commands.watch.settings import WatchedKind, WatchSettings
from backstop.commands.watch.sight import ObservedTarget
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.lsn import Lsn, WalSegment
from backstop.repository.catalog import Catalog, Repository
from backstop.repository.wal_names import WalNames
from tests.making import Maker
from tests.syncing import SEGMENT_BYTES, SYSTEM_ID, TARGET, Worn, put

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from backstop.commands.watch.observe import Observed
    from backstop.model.finding import Finding
    from backstop.model.observation import Observation
    from backstop.repository.inventory import Inventory

RHYTHM = timedelta(minutes=5)
# In the past: the inventory's own clock, which is real, must not be behind the repositories'.
BEGUN = datetime(2026, 1, 5, 0, 55, tzinfo=timezone.utc)
DUMP = WatchedKind(kind="dump", schedules=("0 1 * * *",), repositories=("local", "s3"))
BASE = WatchedKind(
    kind="base",
    schedules=("0 3 * * 0",),
    full_schedule="0 3 * * 0",
    repositories=("local", "s3"),
    has_wal=True,
)


class Counted(Worn):
    """Says how often it was asked for what."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked: Counter[str] = Counter()

    def _pass(self, name: str, *given: Any, **named: Any) -> Any:
        found = super()._pass(name, *given, **named)
        if name != "list":
            self.asked[name] += 1
            return found
        every = list(found)
        self.asked[name] += max(-(-len(every) // 1000), 1)  # as S3 counts: a page has a thousand names
        return iter(every)


@dataclass
class World:
    """A target whose dump is taken at one o'clock; the clock stands at five to one on the first day."""

    folder: Path
    begun: datetime = BEGUN
    kinds: tuple[WatchedKind, ...] = (DUMP,)
    names: tuple[str, ...] = ("local", "s3")
    inventory: Inventory | None = None
    rhythm: timedelta = RHYTHM
    previous: Observation | None = None
    airflow: str | None = "https://airflow.example.org"
    now: datetime = field(init=False)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now = self.begun
        create_signing_keys(self.folder / "signing")
        self.keyring = LocalKeyring.create(self.folder / "ring.json", self.now)
        self.trust = TrustedSigners.load(self.folder / "signing" / "trusted.json")
        self.signer = Signer.load(self.folder / "signing" / "manifest.pem")
        self.verifier = Signer.load(self.folder / "signing" / "proof.pem")
        self.storages = {name: Counted(name) for name in self.names}
        for storage in self.storages.values():
            storage._clock = lambda: self.now
        self.makers = {
            name: Maker(storage, self.keyring, self.signer, self.trust, name=name)
            for name, storage in self.storages.items()
        }

    # -- What happens ----------------------------------------------------------------------------------------

    def at(self, day: int, hour: float = 1.0) -> datetime:
        """Set the clock. Days count from 0."""
        self.now = self.begun.replace(hour=0, minute=0) + timedelta(days=day, hours=hour)
        return self.now

    def dump(
        self, day: int, *, into: Iterable[str] = (), size: int = 1000, objects: int = 2, proven: bool = True
    ) -> BackupLabel:
        """A dump that begins at one o'clock of that day and is published ten minutes later."""
        return self.back_up(BackupKind.DUMP, day, into=into, sizes=[size // objects] * objects, proven=proven)

    def base(self, day: int, *, segment: int, into: Iterable[str] = (), **fields: Any) -> BackupLabel:
        """A full base backup that begins at three o'clock of that day, within one WAL segment."""
        wal = WalSegment(fields.get("timeline", 1), segment, SEGMENT_BYTES)
        return self.back_up(
            BackupKind.FULL,
            day,
            hour=3,
            into=into,
            sizes=[5000],
            start_lsn=str(wal.start),
            end_lsn=str(Lsn(wal.start.position + 4096)),
            summary={"wal_segment_bytes": SEGMENT_BYTES},
            **fields,
        )

    def back_up(
        self,
        kind: BackupKind,
        day: int,
        *,
        hour: float = 1,
        into: Iterable[str] = (),
        sizes: Iterable[int] = (1000,),
        proven: bool = True,
        tree: str = "",
        **fields: Any,
    ) -> BackupLabel:
        started_at = self.at(day, hour)
        self.now += timedelta(minutes=10)
        label = BackupLabel.at(started_at, kind, tree=tree)
        attempt = secrets.token_hex(8)
        bodies = [bytes([number % 250]) * size for number, size in enumerate(sizes)]
        for name in into or self.names:
            maker = self.makers[name]
            stored = [put(maker.storage, label, attempt, number, body) for number, body in enumerate(bodies)]
            manifest = replace(
                maker.manifest(label, stored, started_at), attempt=attempt, finished_at=self.now, **fields
            )
            maker.catalog.publish(manifest, signer=self.signer, ensure_held=lambda: None)
        if proven:
            for name in into or self.names:
                self.prove(label, name)
        return label

    def prove(self, label: BackupLabel, name: str, *, matched: bool = True, seconds: float = 4.0) -> None:
        from backstop.model.proof import Proof

        published = self.makers[name].catalog.backup(label)
        proof = Proof(
            label=label,
            target=TARGET,
            repository_id=published.manifest.repository_id,
            manifest_sha256=published.sha256,
            started_at=self.now,
            finished_at=self.now + timedelta(seconds=seconds),
            matched=matched,
            differences=() if matched else ("table public.equipment: 10 rows in the backup, 9 restored",),
            durations={"total": seconds},
            checks={"tables": 3},
            server_version=180004,
            isolation="none (test)",
            host="test",
        )
        self.makers[name].catalog.record_proof(proof, signer=self.verifier)

    def wal(self, numbers: Iterable[int], *, into: Iterable[str] = (), timeline: int = 1) -> list[str]:
        """Whole segments, stored now. :returns: their keys."""
        names, keys = WalNames(TARGET, SYSTEM_ID), []
        for number in numbers:
            sha256 = hashlib.sha256(f"{timeline}/{number}".encode()).hexdigest()
            keys.append(names.segment(WalSegment(timeline, number, SEGMENT_BYTES), sha256))
            for name in into or self.names:
                self.storages[name].upload(keys[-1], b"w" * 64)
        return keys

    def objects_of(self, label: BackupLabel, name: str = "s3") -> list[str]:
        """Keys."""
        return [stored.key for stored in self.makers[name].catalog.backup(label).manifest.objects]

    def manifest_key(self, label: BackupLabel, name: str = "s3") -> str:
        return self.makers[name].catalog.manifest_key(label)

    # -- The watch -------------------------------------------------------------------------------------------

    def target_repository(self, name: str) -> Repository:
        """As whoever comes anew sees it."""
        storage = self.storages[name]
        return Repository(name, storage, Catalog(storage, TARGET, trust=self.trust))

    def target(self) -> ObservedTarget:
        repositories = [self.target_repository(name) for name in self.storages]
        policies = Policies(
            dumps="each",
            base="weekly",
            trees={one.kind.partition(":")[2]: "each" for one in self.kinds if one.kind.startswith("tree:")},
        )
        sync = SyncSettings(
            staging=self.folder / "staging", places=lambda label: self.names, wal_places=self.names
        )
        settings: dict[str, Any] = {
            "kinds": self.kinds,
            "policies": dict.fromkeys(self.names, policies),
            "sync": sync,
            "late_after": timedelta(hours=1),
            "prove_within": timedelta(hours=24),
            "wal_repositories": self.names,
            **self.settings,
        }
        return ObservedTarget(
            name=TARGET,
            repositories=repositories,
            settings=WatchSettings(**settings),
            keyring=lambda: self.keyring,
            airflow=self.airflow,
        )

    def watch(self) -> Observed:
        """Look, and remember it for the next time."""
        from backstop.repository.observations import Observations

        observed = observe_target(
            self.target(),
            inventory=self.inventory,
            clock=lambda: self.now,
            rhythm=self.rhythm,
            previous=None if self.inventory else self.previous,
        )
        if self.inventory is not None:
            Observations(self.inventory.connection).store([observed.observation])
        self.previous = observed.observation
        return observed

    def found(self, check: str = "") -> list[str]:
        """Watch once: ``level check subject`` of every finding, the most serious first."""
        return [short(one) for one in self.watch().findings if check in ("", one.check)]


def short(finding: Finding) -> str:
    return f"{finding.level.value} {finding.check} {finding.subject}"


def only(observed: Observed) -> Finding:
    """The one finding there is."""
    (finding,) = observed.findings
    return finding
