"""A protected target with two repositories, a clock that can be wrong, and everything that is done to it.

Manifests, proofs, names and signatures are the real ones; payload is a few random bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.model.backup import BackupLabel
from backstop.repository.catalog import Repository
from tests.simulation.chronicle import Chronicle, Made, Moment
from tests.simulation.cluster import Cluster
from tests.simulation.making import Draft, proof_of
from tests.simulation.quick import Remembering
from tests.simulation.shelf import Shelf

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from backstop.model.backup import Manifest

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
LOCAL, REMOTE = "local", "s3"


@dataclass
class Protected:
    """One name in ``targets.yaml`` and what is behind it.

    :param active: whether it is still backed up; one that was renamed is only expired.
    :param packs: of each tree, the packs that hold what is in it now.
    """

    name: str
    cluster: Cluster
    active: bool = True
    rows: int = 1_000_000
    files: dict[str, int] = field(default_factory=lambda: {"media": 20_000, "config": 60})
    packs: dict[str, list[str]] = field(default_factory=lambda: {"media": [], "config": []})


class World:
    """Time stands still unless it is moved.

    :param wrong_by: how far the worker's clock is off; S3's and the database's are right.
    """

    def __init__(self, dice: random.Random, folder: Path) -> None:
        self.dice = dice
        self.now = BEGIN
        self.wrong_by = timedelta(0)
        keys = folder / "signing"
        if not keys.exists():
            keys.mkdir(mode=0o700)
            create_signing_keys(keys)
        self.trust = TrustedSigners.load(keys / "trusted.json")
        self.writer = Signer.load(keys / "manifest.pem")
        self.verifier = Signer.load(keys / "proof.pem")
        self.shelves = {
            LOCAL: Shelf(LOCAL, clock=self.clock),
            REMOTE: Shelf(REMOTE, clock=lambda: self.now, versioned=True),
        }
        self.chronicle = Chronicle()
        self._memory: dict[Any, Any] = {}
        self.targets = [Protected("calibrify", self.new_cluster("calibrify"))]
        for repository in self.repositories("calibrify"):
            repository.catalog.repository_id(create=True)

    def clock(self) -> datetime:
        """What the worker takes for the time."""
        return self.now + self.wrong_by

    @property
    def current(self) -> Protected:
        """The target that is backed up."""
        return self.targets[-1]

    def new_cluster(self, target: str) -> Cluster:
        """Its identifier says nothing about its age: it may sort before an older one's."""
        system_id = str(self.dice.randrange(7 * 10**18, 8 * 10**18))
        return Cluster(target, system_id, self.dice)

    def repositories(self, target: str) -> list[Repository]:
        return [
            Repository(name, shelf, Remembering(shelf, target, trust=self.trust, memory=self._memory))
            for name, shelf in self.shelves.items()
        ]

    def reachable(self) -> list[str]:
        return [name for name, shelf in self.shelves.items() if not shelf.down]

    def put(self, key: str, where: list[str]) -> bytes:
        """One object of ciphertext, into each of these repositories."""
        body = self.chronicle.bytes_of.setdefault(key, self.dice.randbytes(24))
        for name in where:
            if key not in self.shelves[name]:
                self.shelves[name].upload(key, body)
        return body

    def labels(self, target: str, repository: str) -> list[str]:
        """Whose manifest lies there, readable or not."""
        prefix = f"{target}/meta/manifests/"
        return [
            key.removeprefix(prefix).removesuffix(".json") for key in self.shelves[repository].keys(prefix)
        ]

    def in_all(self, target: str, where: list[str]) -> list[Made]:
        """What each of these repositories holds, the oldest first."""
        held = set.intersection(*(set(self.labels(target, name)) for name in where))
        found = [
            self.chronicle.made[target, label] for label in held if (target, label) in self.chronicle.made
        ]
        return sorted(found, key=lambda made: made.at)

    def publish(self, draft: Draft, where: list[str]) -> Made:
        """The manifest, last, into each of these repositories; what it says is written down."""
        for repository in self.repositories(draft.target):
            if repository.name in where:
                shelf = self.shelves[repository.name]
                # What is gone meanwhile is listed all the same: the writer cannot know.
                versions = {key: shelf.info(key).version_id if key in shelf else None for key in draft.keys}
                manifest = draft.manifest(
                    repository.catalog.repository_id(create=True), self.chronicle.bytes_of, versions
                )
                repository.catalog.publish(manifest, signer=self.writer, ensure_held=lambda: None)
        made = draft.made()
        self.chronicle.made[made.target, made.label] = made
        return made

    def ship_wal(self, target: Protected) -> None:
        """What the receiver does all the time: whole segments, and a piece of the one that grows."""
        where = self.reachable()
        cluster = target.cluster
        if not where or cluster.shipped == cluster.position:
            return
        whole, piece = cluster.unshipped()
        for key in whole:
            self.put(key, where)
            segment = key.rsplit("/", 1)[1].split("-")[0]
            folder = f"{cluster.names.tails_of_timeline(cluster.timeline)}{segment}/"
            for name in where:
                for old in self.shelves[name].keys(folder):
                    self.shelves[name].delete(old, version_id=self.shelves[name].info(old).version_id)
        if piece:
            self.put(piece, where)
        self.chronicle.moments.append(Moment(self.now, cluster, cluster.timeline, cluster.position))

    def verify(
        self, repository: Repository, label: str, *, matched: bool, signer: Signer | None = None
    ) -> None:
        """Record a verification. By another signer than the verifier it is a forgery."""
        target = repository.catalog.target
        published = repository.catalog.backup(BackupLabel(label))
        # A forged one is of another second.
        proof = proof_of(published, self.now + timedelta(seconds=bool(signer)), matched=matched)
        repository.catalog.record_proof(proof, signer=signer or self.verifier)
        if signer is None:
            self.chronicle.verified[repository.name, target, label] = matched
        else:
            self.chronicle.spoiled.add((repository.name, target, label))

    def manifest(self, target: str, repository: str, label: str) -> Manifest:
        found = next(one for one in self.repositories(target) if one.name == repository)
        return found.catalog.backup(BackupLabel(label)).manifest
