"""What targets.yaml may say: one class a section, one attribute a key, same names.

The text under an attribute is what docs/targets.schema.json shows in editors (targets/schema.py reads it).
"""

# ruff: noqa: TC001 pydantic evaluates the annotations
from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationInfo,
    model_validator,
)

from backstop.targets.fields import (
    AbsolutePath,
    Answer,
    Argv,
    Bucket,
    ConnId,
    Duration,
    Endpoint,
    KeyArn,
    Name,
    Prefix,
    RepositoryPath,
    Schedule,
    Text,
)


class Section(BaseModel):
    """A mapping of targets.yaml: unknown keys are mistakes, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _remember_section(cls, raw: Any, info: ValidationInfo) -> Any:
        # An "unknown key" is reported with the known ones, which only the section knows.
        if info.context is not None and isinstance(raw, dict):
            info.context[id(raw)] = cls
        return raw


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


class _Named(Section):
    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """The key under which targets.yaml lists this section."""
        return self._name


class LocalKeys(_Named):
    """A key ring file on the machines that back up and restore."""

    storage: Literal["local"]
    path: AbsolutePath
    """The key ring, a 0600 file made by `python -m backstop init-keys`."""
    signing: AbsolutePath
    """Directory with manifest.pem, proof.pem and trusted.json."""
    escrow: Escrow | None = None
    """Where the copy of the key ring is, or why there is none; backups are refused until this is said."""


class KmsKeys(_Named):
    """A key of AWS KMS."""

    storage: Literal["aws-kms"]
    key_arn: KeyArn
    """The key that wraps every data key, arn:aws:kms:<region>:<account>:key/<id>."""
    signing: AbsolutePath
    """Directory with manifest.pem, proof.pem and trusted.json."""
    further_key_arns: list[KeyArn] = Field(default_factory=list)
    """Keys that wrap every data key too, such as one in a second region."""
    region: Text | None = None
    """The key's own region, if given at all: it is part of the ARN."""
    escrow: EscrowPublicKey | None = None
    """An offline key that opens the backups when KMS cannot."""
    conn_id: ConnId | None = None
    """Airflow connection with the AWS credentials. Default: the machine's own (role, environment)."""
    endpoint_url: Endpoint | None = None
    """Another endpoint that speaks the protocol of AWS KMS."""


KeysConfig = Annotated[LocalKeys | KmsKeys, Discriminator("storage")]


class PosixRepository(_Named):
    """Backups in a directory."""

    type: Literal["posix"]
    path: RepositoryPath
    """A directory that only the backup user can read; created when absent."""


class S3Repository(_Named):
    """Backups in an S3 bucket, or in anything that speaks S3."""

    type: Literal["s3"]
    bucket: Bucket
    prefix: Prefix = ""
    """Where in the bucket the repository begins."""
    conn_id: ConnId | None = None
    """Airflow connection with the credentials. Default: the machine's own (role, environment)."""
    endpoint_url: Endpoint | None = None
    """For S3 other than AWS's: http://127.0.0.1:8333."""
    region: Text | None = None
    """Of the bucket, such as eu-central-1."""


RepositoryConfig = Annotated[PosixRepository | S3Repository, Discriminator("type")]


class Objectives(Section):
    """What was asked for; what was achieved is measured."""

    rto: Duration | None = None
    """How long a restore may take."""
    rpo: Duration | None = None
    """How much work may be lost."""


class VerifyQuery(Section):
    """A question to the restored copy and its answer."""

    sql: Text
    expect: Answer
    """One value, or a list of rows."""
    name: Text | None = None
    """For reports; default the query itself."""


class Verify(Section):
    """How backups are proven: by a restore that is compared with the fingerprint."""

    policy: Literal["each", "daily", "weekly"] = "each"
    """Which backups: each one, or the newest of each day or week."""
    queries: list[VerifyQuery] = Field(default_factory=list)
    """Asked of the restored copy after the comparison."""
    isolation: Literal["required", "preferred", "none"] = "required"
    """What a dump contains is code. `required`: refuse to verify where it cannot be kept apart from the
    machine; `preferred`: keep it apart where that works, and say in the proof where it did not."""
    server_conn_id: ConnId | None = None
    """Restore into a fresh database of this server instead of a scratch server on the worker."""


class Restore(Section):
    """The rules for restoring in place."""

    approval: bool = True
    """Someone must approve before anything live is swapped."""
    four_eyes: bool = True
    """The approver must not be the requester."""
    approval_timeout: Duration = timedelta(hours=1)
    """Unanswered for so long counts as rejected."""
    allow_superuser: bool = False
    """Restore although restore_conn_id is a superuser (what a dump contains is code)."""
    after_restore: list[Text] = Field(default_factory=list)
    """SQL run in the restored copy before anyone connects: masking, re-applied erasures."""
    accept_logical_slots: bool = False
    """Swap although logical replication slots stay with the old database."""


class Application(Section):
    """Commands around a swap, each a list of arguments (no shell). The database must stay up."""

    stop: list[Argv] = Field(default_factory=list)
    start: list[Argv] = Field(default_factory=list)
    probe: list[Argv] = Field(default_factory=list)
    """Must exit 0 once the application works again."""
    timeout: Duration = timedelta(seconds=60)
    """For each command."""


class Database(Section):
    """One PostgreSQL database and how it is backed up, proven and restored."""

    conn_id: ConnId
    """Airflow connection of the least-privilege backup role (include/sql/ has its grants)."""
    restore_conn_id: ConnId | None = None
    """Connection of a role with CREATEDB that is a member of the owner; needed to restore in place."""
    dbname: Annotated[str, Field(min_length=1, max_length=63)]
    schedule: Schedule | None = None
    """When to back up, cron fields in UTC; null: only by hand."""
    jobs: Annotated[int, Field(ge=1, le=32)] = 2
    """Connections that read tables at the same time."""
    fingerprint: Literal["full", "counts"] = "full"
    """`full` hashes every row in the backup's snapshot; `counts` only counts them."""
    snapshot_max: Duration = timedelta(hours=4)
    """A backup that holds its snapshot longer gives up, so that vacuum can work."""
    repositories: Annotated[list[str], Field(min_length=1)]
    """Where backups go, all from one read."""
    retention: dict[str, Duration] = Field(default_factory=dict)
    """How long each repository keeps backups; a repository not named here keeps them for good."""
    objectives: Objectives = Field(default_factory=Objectives)
    spool: AbsolutePath | None = None
    """Directory for staging; default: beside the first posix repository, else the system's temporary one."""
    verify: Verify = Field(default_factory=Verify)
    restore: Restore = Field(default_factory=Restore)
    application: Application = Field(default_factory=Application)


class Target(_Named):
    """A protected system."""

    description: str = ""
    owner: Text = "backstop"
    """Owner of its DAGs."""
    keys: str
    """Which of `keys` encrypts and signs."""
    tags: list[Text] = Field(default_factory=list)
    queue: Text | None = None
    """Airflow queue of the workers that can reach the target."""
    database: Database


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
    inventory: InventorySection | None = None
    """An SQL index for people and reports; backups need none."""

    def model_post_init(self, _context: Any) -> None:
        sections: tuple[Mapping[str, _Named], ...] = (self.keys, self.repositories, self.targets)
        for section in sections:
            for name, named in section.items():
                named._name = name
