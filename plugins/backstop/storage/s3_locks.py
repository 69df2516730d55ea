"""Locks what is put into a bucket (S3 Object Lock), and never makes a lock shorter."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from backstop.errors import ConfigurationError, ObjectMissingError
from backstop.storage.s3_errors import ForbiddenError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectLockRetentionTypeDef

    from backstop.model.object_lock import LockRule
    from backstop.storage.s3_retry import Patience
    from backstop.storage.s3_versions import S3Versions

_WITHOUT = frozenset(
    {"ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "InvalidRequest"}
)
_EXTENDER = (
    "extending a lock needs s3:PutObjectRetention and s3:GetObjectRetention; see docs/format.md, “Who may do "
    "what”"
)


class S3Locks:
    """The locks of one corner of a bucket, by one rule."""

    def __init__(
        self, client: S3Client, *, bucket: str, rule: LockRule, versions: S3Versions, patience: Patience
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._rule = rule
        self._versions = versions
        self._patience = patience
        self._can_lock = False

    def headers(self, key: str) -> dict[str, Any]:
        """What a request that creates the object must say.

        :raises ConfigurationError: the bucket cannot lock anything; asked before the first object is put, so
            nothing is there that was to be locked and is not.
        """
        self._require_lock()
        until = self._rule.until(key, now=datetime.now(timezone.utc))
        if until is None:
            return {}
        return {"ObjectLockMode": self._rule.mode.upper(), "ObjectLockRetainUntilDate": until}

    def _require_lock(self) -> None:
        if self._can_lock:
            return
        what = f"s3://{self._bucket}: look whether it locks objects"
        try:
            enabled = self._patience.run(self._is_enabled, what=what)
        except ForbiddenError:
            enabled = True  # such a role may not ask; a bucket without locks refuses the object itself
        if not enabled:
            raise ConfigurationError(
                f"bucket {self._bucket} has no Object Lock, and targets.yaml asks for "
                f"{self._rule.mode} locks; nothing was written",
                hint="enable Object Lock on a bucket with versions (aws s3api "
                "put-object-lock-configuration), or take `lock` out of targets.yaml",
            )
        self._can_lock = True

    def _is_enabled(self) -> bool:
        try:
            answer = self._client.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _WITHOUT:
                return False
            raise
        return answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"

    def extend(self, key: str, where: str, *, until: datetime, version_id: str | None, what: str) -> None:
        """As :meth:`backstop.storage.base.Storage.extend_lock`. :param where: the key in the bucket."""
        if until <= datetime.now(timezone.utc):
            return
        mode, locked_until = self._retention(key, version_id)
        if locked_until is not None and locked_until >= until:
            return
        version = {} if version_id is None else {"VersionId": version_id}
        # A lock of the stronger kind is not made weaker: no service would, and ours is not to ask.
        stronger = mode == "COMPLIANCE" or self._rule.mode == "compliance"
        retention: ObjectLockRetentionTypeDef = {
            "Mode": "COMPLIANCE" if stronger else "GOVERNANCE",
            "RetainUntilDate": until,
        }
        try:
            self._patience.run(
                lambda: self._client.put_object_retention(
                    Bucket=self._bucket,
                    Key=where,
                    Retention=retention,
                    **version,  # type: ignore[arg-type]
                ),
                what=what,
            )
        except ForbiddenError as error:
            # Another one may have extended it further meanwhile: then ours would have shortened it.
            _, now_until = self._retention(key, version_id)
            if now_until is None or now_until < until:
                raise ForbiddenError(error.message, hint=_EXTENDER) from error

    def _retention(self, key: str, version_id: str | None) -> tuple[str | None, datetime | None]:
        try:
            return self._versions.retention(key, version_id)
        except ForbiddenError as error:
            raise ForbiddenError(error.message, hint=_EXTENDER) from error
        except ObjectMissingError:
            return None, None
