"""What targets.yaml may say: one class a section, one attribute a key, same names.

The text under an attribute is what docs/targets.schema.json shows in editors (targets/schema.py reads it).
"""

# ruff: noqa: TC001 pydantic evaluates the annotations
from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, PrivateAttr, Tag

from backstop.model.stagger import settle
from backstop.targets.access import Access, KeyConnections, ObjectLock, RepositoryConnections
from backstop.targets.alerts import Alerts
from backstop.targets.broken import BrokenFile
from backstop.targets.check_rules import Check
from backstop.targets.cluster import Cluster
from backstop.targets.database import Database
from backstop.targets.disaster import Disaster
from backstop.targets.drill import Drill
from backstop.targets.expiry import Expiry
from backstop.targets.fields import (
    AbsolutePath,
    Bucket,
    ConnId,
    Duration,
    Endpoint,
    KeyArn,
    Name,
    Prefix,
    RepositoryPath,
    Text,
)
from backstop.targets.legacy import Legacy
from backstop.targets.pools import PoolName, Pools
from backstop.targets.section import NamedSection, Section
from backstop.targets.trees import Tree
from backstop.targets.watch import Watch


class EscrowCopied(Section):
    """A copy of the key ring is kept where a fire here cannot reach it."""

    copied_to: Text
    """Where the copy is, for whoever needs it: 'safe 3, HQ'. Never the key itself."""
    on: date
    """The day the copy was made, 2026-11-01."""


class EscrowWaived(Section):
    """The risk of losing every backup with this machine has been accepted in writing."""

    waived: Text
    """Why no copy is kept."""


class EscrowPublicKey(Section):
    """Every data key is wrapped by an offline RSA key too; its private half is in a safe."""

    public_key: AbsolutePath
    """The public half (RSA, 4096 bits or more, PEM), writable by its owner alone."""


def _escrow_form(raw: Any) -> str:
    keys = raw if isinstance(raw, Mapping) else ()
    return "<waived>" if "waived" in keys else "<public key>" if "public_key" in keys else "<copied>"


Escrow = Annotated[
    Annotated[EscrowCopied, Tag("<copied>")]
    | Annotated[EscrowWaived, Tag("<waived>")]
    | Annotated[EscrowPublicKey, Tag("<public key>")],
    Discriminator(_escrow_form),
]


class LocalKeys(NamedSection):
    """A key ring file on the machines that back up and restore."""

    storage: Literal["local"]
    path: AbsolutePath
    """The key ring, a 0600 file made by `python -m backstop init-keys`."""
    signing: AbsolutePath
    """Directory with manifest.pem, proof.pem and trusted.json."""
    escrow: Escrow | None = None
    """Where the copy of the key ring is, or why there is none; backups are refused until this is said."""


class KmsKeys(NamedSection):
    """A key of AWS KMS."""

    storage: Literal["aws-kms"]
    key_arn: KeyArn
    """The key that wraps every data key, arn:aws:kms:<region>:<account>:key/<id>."""
    signing: AbsolutePath
    """Directory with manifest.pem, proof.pem and trusted.json."""
    further_key_arns: list[KeyArn] = Field(default_factory=list)
    """Keys that wrap every data key too, such as one in a second region."""
    further: Literal["required", "optional"] = "required"
    """Whether nothing is backed up while a further key is out of reach, or it is, without that key."""
    region: Text | None = None
    """The key's own region, if given at all: it is part of the ARN."""
    escrow: EscrowPublicKey | None = None
    """An offline key that opens the backups when KMS cannot."""
    evidence_key_arn: KeyArn | None = None
    """The key of AWS KMS that signs evidence: SIGN_VERIFY, ECC_NIST_P256. Default: proof.pem signs it."""
    conn_id: ConnId | None = None
    """Airflow connection with the AWS credentials. Default: the machine's own (role, environment)."""
    connections: KeyConnections = Field(default_factory=KeyConnections)
    """Connections by what is asked of the keys, so that who backs up cannot read."""
    endpoint_url: Endpoint | None = None
    """Another endpoint that speaks the protocol of AWS KMS."""


KeysConfig = Annotated[LocalKeys | KmsKeys, Discriminator("storage")]


class PosixRepository(NamedSection):
    """Backups in a directory."""

    type: Literal["posix"]
    path: RepositoryPath
    """A directory that only the backup user can read; created when absent."""
    mounted: bool = False
    """A disk or a share of its own is mounted there: nothing is read or written while it is not."""


class S3Repository(NamedSection):
    """Backups in an S3 bucket, or in anything that speaks S3."""

    type: Literal["s3"]
    bucket: Bucket
    prefix: Prefix = ""
    """Where in the bucket the repository begins."""
    conn_id: ConnId | None = None
    """Airflow connection with the credentials. Default: the machine's own (role, environment)."""
    connections: RepositoryConnections = Field(default_factory=RepositoryConnections)
    """Connections by role, so that a stolen one cannot destroy history."""
    lock: ObjectLock | None = None
    """Locks what is stored for as long as retention keeps it; the bucket has to have Object Lock."""
    endpoint_url: Endpoint | None = None
    """For S3 other than AWS's: http://127.0.0.1:8333."""
    region: Text | None = None
    """Of the bucket, such as eu-central-1."""
    noncurrent: Duration = timedelta(days=30)
    """How long a bucket with versions keeps what somebody has deleted or overwritten; whole days."""


RepositoryConfig = Annotated[PosixRepository | S3Repository, Discriminator("type")]


class Target(NamedSection):
    """A protected system."""

    description: str = ""
    owner: Text = "backstop"
    """Owner of its DAGs."""
    keys: str
    """Which of `keys` encrypts and signs."""
    tags: list[Text] = Field(default_factory=list)
    queue: Text | None = None
    """Airflow queue of the workers that can reach the target."""
    pools: Pools = Field(default_factory=Pools)
    """Pools of Airflow that its tasks take a place in."""
    database: Database
    cluster: Cluster | None = None
    """Base backups and WAL of the whole server; without it, only dumps are taken."""
    check: Check = Field(default_factory=Check)
    """How often what is stored is read again."""
    trees: dict[Name, Tree] = Field(default_factory=dict)
    """File trees: media, configuration."""
    expiry: Expiry = Field(default_factory=Expiry)
    """When what retention lets go is removed."""
    watch: Watch = Field(default_factory=Watch)
    """What the watch still takes for in order."""
    drill: Drill = Field(default_factory=Drill)
    """Disasters that are rehearsed."""
    disaster: Disaster = Field(default_factory=Disaster)
    """What happens in a real one."""
    access: Access = Field(default_factory=Access)
    """Roles of Airflow that may start and approve it."""
    legacy: Legacy | None = None
    """Backups that scripts made before Backstop."""

    @property
    def is_rehearsed(self) -> bool:
        """Whether drills of it have been described at all, with a schedule or without."""
        return "drill" in self.model_fields_set

    def at(self, schedule: str, procedure: str) -> str:
        """Plain cron fields for what this target does at some time: ``H`` becomes its own."""
        return settle(schedule, name=self.name, procedure=procedure)

    def _be_called(self, name: str) -> None:
        """Names it and its trees; from now on its schedules are plain cron."""
        self._name = name
        for tree_name, tree in self.trees.items():
            tree._name = tree_name
        timed: list[tuple[Section | None, str, str]] = [
            (self.database, "database", "schedule"),
            (self.cluster, "cluster", "full"),
            (self.cluster, "cluster", "incremental"),
            (self.check, "check", "schedule"),
            (self.expiry, "expiry", "schedule"),
            (self.drill, "drill", "schedule"),
            (self.legacy, "legacy", "schedule"),
            *((tree, f"tree:{tree.name}", "schedule") for tree in self.trees.values()),
        ]
        for section, procedure, key in timed:
            written = getattr(section, key, None)
            if section is not None and written:
                # Frozen for everybody else: nobody has seen it yet.
                object.__setattr__(section, key, self.at(written, procedure))


class InventorySection(Section):
    """The database with the index of all repositories."""

    conn_id: ConnId
    """PostgreSQL connection of the inventory's owner; it names the database too."""


class Configuration(Section):
    """The whole of targets.yaml."""

    ENVIRONMENT_VARIABLE: ClassVar[str] = "BACKSTOP_TARGETS"

    version: Literal[1]
    """Of this file's format."""
    keys: dict[Name, KeysConfig]
    repositories: dict[Name, RepositoryConfig]
    targets: dict[Name, Target]
    defaults: dict[str, Any] | None = None
    """What every target has that says nothing else, in the form of a target: merged under each."""
    pools: dict[PoolName, Annotated[int, Field(ge=1, le=10_000)]] = Field(default_factory=dict)
    """Pools of Airflow and how many places each has; `python -m backstop pools` gives them to Airflow."""
    inventory: InventorySection | None = None
    """An SQL index for people and reports; backups need none."""
    alerts: Alerts = Field(default_factory=Alerts)
    """Who is told of what is wrong."""

    _broken: tuple[BrokenFile, ...] = PrivateAttr(default=())

    @property
    def broken(self) -> tuple[BrokenFile, ...]:
        """Files of a directory that are wrong; their targets are none of :attr:`targets`."""
        return self._broken

    def why_broken(self, target: str) -> BrokenFile | None:
        """The file that is why this target is none."""
        return next((one for one in self._broken if target in one.targets), None)

    @property
    def known_targets(self) -> list[str]:
        """Those that can be worked with, and those that cannot because their file is wrong."""
        return sorted({*self.targets, *(name for one in self._broken for name in one.targets)})

    def with_targets(self, targets: Mapping[str, Target], broken: Sequence[BrokenFile] = ()) -> Configuration:
        """The same with these targets, which are named by this."""
        whole = self.model_copy(update={"targets": dict(targets)})
        for name, target in whole.targets.items():
            target._be_called(name)
        whole._broken = tuple(broken)
        return whole

    def model_post_init(self, _context: Any) -> None:
        sections: tuple[Mapping[str, NamedSection], ...] = (self.keys, self.repositories)
        for section in sections:
            for name, named in section.items():
                named._name = name
        for name, target in self.targets.items():
            target._be_called(name)
