"""What each role may do in a bucket, in AWS' policy language (docs/format.md, "Who may do what"). Pure.

One list of grants makes all of it: the policy of each role, the bucket's own, and what tests ask of a server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.model.access import AccessRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

VERSION = "2012-10-17"
_MARK = "repository.json"
_READ = ("s3:GetObject", "s3:GetObjectVersion")
_PUT = ("s3:PutObject", "s3:AbortMultipartUpload")
_DELETE = ("s3:DeleteObject", "s3:DeleteObjectVersion")
_LOCKS = ("s3:GetObjectRetention", "s3:GetObjectLegalHold")
_SETTINGS = (
    "BucketPolicy", "BucketVersioning", "BucketPublicAccessBlock", "BucketObjectLockConfiguration",
    "BucketLogging", "EncryptionConfiguration", "LifecycleConfiguration", "BucketOwnershipControls",
)  # fmt: skip
_OF_WRITERS = ("meta/manifests/*", "meta/lease/*", "meta/pins/*", "data/*", "tail/*")
_OF_RESTORERS = ("meta/pins/*", "meta/incidents/*")
_OF_VERIFIERS = (
    "meta/proofs/*", "meta/evidence/*", "meta/holds/*", "meta/checks/*", "meta/accepted/*",
    "meta/legacy/proofs/*",
)  # fmt: skip
_OF_EXPIRERS = ("meta/lease/*", "meta/expiring/*", "meta/legacy/retired/*", "meta/manifests/*")
_NEVER_DELETED = "meta/evidence/*"
_LOCKED_BACKUPS = ("data/*", "meta/manifests/*", "meta/proofs/*", "meta/holds/*")
"""Of a backup, what is locked on for longer: by the next backup that refers to it, by a hold, by expiry."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repository lies. :param prefix: in the bucket, without slashes at its ends; often empty.

    :param targets: whose backups the role may come to; ``("*",)``: of every target there.
    :param partition: ``aws``, ``aws-cn``, ``aws-us-gov``.
    """

    bucket: str
    prefix: str = ""
    targets: tuple[str, ...] = ("*",)
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """Of the bucket."""
        return f"arn:{self.partition}:s3:::{self.bucket}"

    @property
    def top(self) -> str:
        """The prefix of a listing of names at the top."""
        return self._below("")

    @property
    def mark(self) -> str:
        """Of ``repository.json``."""
        return f"{self.arn}/{self.mark_name}"

    @property
    def mark_name(self) -> str:
        """Its key, and the prefix that a listing of it alone has."""
        return self._below(_MARK)

    def objects(self, patterns: Iterable[str]) -> list[str]:
        """ARNs of what lies there below each target."""
        return [f"{self.arn}/{path}" for path in self.names(patterns)]

    def names(self, patterns: Iterable[str]) -> list[str]:
        """The same as prefixes of keys, for listings."""
        return [self._below(f"{target}/{pattern}") for pattern in patterns for target in self.targets]

    def _below(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path


@dataclass(frozen=True, slots=True)
class Grants:
    """What one role may do; patterns are below ``<target>/``.

    :param lock: what the role may lock, and never for less time than it is locked: what it puts and what it
        extends.
    :param top: sees the names of all targets there, described or not; of what is below, nothing by that.
    :param narrow: payload read by who reads no other: the lists that the next backup is compared with.
    """

    read: tuple[str, ...] = ()
    put: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    versions: bool = False
    top: bool = False
    locks: bool = False
    lock: tuple[str, ...] = ()
    marks: bool = False
    settings: bool = False
    narrow: tuple[str, ...] = ()


NARROW = ("data/trees/*/files", "data/trees/*/packs/l*", "data/database/*/backup_manifest")
"""Of payload, what the writer reads and opens: the lists that the next backup is compared with."""
_ALL = ("*",)

GRANTS: Mapping[AccessRole, Grants] = {
    AccessRole.WRITER: Grants(
        read=("meta/*",),
        narrow=NARROW,
        put=_OF_WRITERS,
        listed=("meta/*", "data/wal/*", "data/trees/*", "tail/*"),
        lock=("data/*", "meta/manifests/*"),
        marks=True,
    ),
    AccessRole.SYNC: Grants(
        read=_ALL,
        put=(*_OF_WRITERS, "meta/proofs/*", "meta/holds/*", "meta/evidence/*"),
        listed=_ALL,
        lock=(*_LOCKED_BACKUPS, "meta/evidence/*"),
        marks=True,
    ),
    AccessRole.RESTORER: Grants(read=_ALL, put=_OF_RESTORERS, listed=_ALL, lock=("meta/incidents/*",)),
    AccessRole.VERIFIER: Grants(
        read=_ALL,
        put=(*_OF_RESTORERS, *_OF_VERIFIERS),
        listed=_ALL,
        lock=(*_LOCKED_BACKUPS, "meta/incidents/*", "meta/evidence/*", "meta/accepted/*"),
    ),
    AccessRole.EXPIRER: Grants(
        read=("meta/*",),
        put=_OF_EXPIRERS,
        listed=_ALL,
        delete=_ALL,
        versions=True,
        locks=True,
        lock=_LOCKED_BACKUPS,
    ),
    AccessRole.HEALER: Grants(
        read=_ALL,
        put=(*_OF_EXPIRERS, "meta/checks/*", "data/*", "tail/*"),
        listed=_ALL,
        delete=_ALL,
        versions=True,
        locks=True,
        lock=("data/*", "meta/manifests/*"),
    ),
    AccessRole.AUDITOR: Grants(read=("meta/*",), listed=_ALL, versions=True, top=True, locks=True),
    AccessRole.PREPARER: Grants(listed=_ALL, settings=True),
}


def role_policy(role: AccessRole, place: Place) -> dict[str, Any]:
    """The policy to attach to the role: what is not in it, IAM denies."""
    return {"Version": VERSION, "Statement": statements(role, place)}


def statements(role: AccessRole, place: Place) -> list[dict[str, Any]]:
    """All of what the role may do, as statements that allow it."""
    grants = GRANTS[role]
    found = [
        _allow(role, "Read", _READ, [place.mark, *place.objects((*grants.read, *grants.narrow))])
        if grants.read
        else None,
        _allow(role, "Put", _PUT, [*([place.mark] if grants.marks else []), *place.objects(grants.put)])
        if grants.put
        else None,
        _listing(role, "List", ("s3:ListBucket",), grants, place),
        # Whose role is for some targets does not learn which others there are.
        _top(role, place) if grants.top and place.targets == _ALL else None,
        _listing(role, "Versions", ("s3:ListBucketVersions",), grants, place) if grants.versions else None,
        _allow(role, "Delete", (*_DELETE, "s3:AbortMultipartUpload"), place.objects(grants.delete))
        if grants.delete
        else None,
        # Without a condition: this action knows no prefix.
        _allow(role, "Uploads", ("s3:ListBucketMultipartUploads",), [place.arn]) if grants.delete else None,
        _allow(role, "Locks", _LOCKS, place.objects(_ALL)) if grants.locks else None,
        _allow(
            role,
            "Lock",
            ("s3:GetObjectRetention", "s3:GetObjectLegalHold", "s3:PutObjectRetention"),
            [place.mark, *place.objects(grants.lock)],
        )
        if grants.lock
        else None,
        # Says that the bucket can lock at all; no backup goes into one that was to and cannot.
        _allow(role, "Locking", ("s3:GetBucketObjectLockConfiguration",), [place.arn])
        if grants.lock
        else None,
        _allow(
            role,
            "Settings",
            tuple(f"s3:{verb}{name}" for name in _SETTINGS for verb in ("Get", "Put")),
            [place.arn],
        )
        if grants.settings
        else None,
    ]
    return [one for one in found if one is not None]


def guards(
    place: Place, *, expirers: Sequence[str] = (), preparers: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """What the bucket itself refuses, whatever policies of roles allow.

    :param expirers: patterns of ARNs of principals that may delete. :param preparers: that may set it up.
    """
    everything = [place.arn, f"{place.arn}/*"]
    evidence = place.objects((_NEVER_DELETED,))
    guarded = [
        _deny("TlsOnly", "s3:*", everything, {"Bool": {"aws:SecureTransport": "false"}}),
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
        _deny(
            "MetaIsNeverOverwritten",
            "s3:PutObject",
            [place.mark, *place.objects(("meta/*",))],
            {"Null": {"s3:if-none-match": "true"}},
        ),
        *([_deny("EvidenceIsNeverDeleted", list(_DELETE), evidence)] if evidence else []),
        # Without it no manifest there can be believed, and nothing Backstop does removes it.
        _deny("RepositoryIsNeverDeleted", list(_DELETE), [place.mark]),
        _deny(
            "LocksAreNeverBypassed",
            ["s3:BypassGovernanceRetention", "s3:PutObjectLegalHold"],
            [f"{place.arn}/*"],
        ),
    ]
    if expirers:
        others = {"StringNotLike": {"aws:PrincipalArn": list(expirers)}}
        guarded.append(_deny("ExpirersAloneDelete", list(_DELETE), place.objects(_ALL), others))
    if preparers:
        others = {"StringNotLike": {"aws:PrincipalArn": list(preparers)}}
        actions = [f"s3:Put{name}" for name in _SETTINGS] + ["s3:DeleteBucketPolicy", "s3:DeleteBucket"]
        guarded.append(_deny("PreparersAloneSetUp", actions, [place.arn], others))
    return guarded


def bucket_policy(
    place: Place,
    *,
    expirers: Sequence[str] = (),
    preparers: Sequence[str] = (),
    principals: Mapping[AccessRole, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """:param principals: by role, who has it, where the bucket itself grants what IAM does elsewhere."""
    granted = [
        {**one, "Principal": {"AWS": list(who)}}
        for role, who in (principals or {}).items()
        for one in statements(role, place)
    ]
    return {
        "Version": VERSION,
        "Statement": [*granted, *guards(place, expirers=expirers, preparers=preparers)],
    }


def _allow(role: AccessRole, what: str, actions: Sequence[str], resources: list[str]) -> dict[str, Any]:
    return {
        "Sid": f"{role.value.title()}{what}",
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": resources,
    }


def _listing(
    role: AccessRole, what: str, actions: Sequence[str], grants: Grants, place: Place
) -> dict[str, Any]:
    allowed = _allow(role, what, actions, [place.arn])
    # With or without a prefix: nothing else in the bucket is a role's to see.
    allowed["Condition"] = {"StringLike": {"s3:prefix": [place.mark_name, *place.names(grants.listed)]}}
    return allowed


def _top(role: AccessRole, place: Place) -> dict[str, Any]:
    allowed = _allow(role, "Top", ("s3:ListBucket",), [place.arn])
    # Without the delimiter, the same prefix lists every object.
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/walkthrough1.html
    equal = {"s3:delimiter": ["/"]}
    # SeaweedFS takes an empty prefix for none at all; what is not there is unlike anything, there and at AWS.
    allowed["Condition"] = (
        {"StringEquals": {"s3:prefix": [place.top], **equal}}
        if place.top
        else {"StringEquals": equal, "StringNotLike": {"s3:prefix": ["?*"]}}
    )
    return allowed


def _deny(
    sid: str, action: str | list[str], resources: list[str], condition: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    denied = {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": action, "Resource": resources}
    return {**denied, "Condition": dict(condition)} if condition else denied
