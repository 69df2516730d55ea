"""Versions, locks and deletion of many objects in a bucket: what freeing space needs."""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import islice, takewhile
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from backstop.errors import ObjectMissingError, StorageUnavailableError
from backstop.storage.base import ObjectLock, ObjectVersion, Undeleted
from backstop.storage.s3_errors import ForbiddenError, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        DeleteObjectsOutputTypeDef,
        ListObjectVersionsOutputTypeDef,
        ListObjectVersionsRequestTypeDef,
        ObjectIdentifierTypeDef,
    )

    from backstop.storage.s3_retry import Patience

T = TypeVar("T")

BATCH = 1000
"""What one DeleteObjects takes."""
_EXPIRER = (
    "expiry needs the role of the expirer: s3:DeleteObject, s3:DeleteObjectVersion, s3:ListBucketVersions, "
    "s3:GetObjectRetention and s3:GetObjectLegalHold; see docs/format.md, “Who may do what”"
)
_NO_LOCK = frozenset(
    {
        "NoSuchObjectLockConfiguration",  # AWS: this object has none
        "ObjectLockConfigurationNotFoundError",  # the bucket has none
        "NoSuchObjectLegalHold",
        "InvalidRequest",  # a bucket without Object Lock
        "MethodNotAllowed",  # a delete marker
        "NotImplemented",  # a service without locks
    }
)
_ABSENT = frozenset({"NoSuchKey", "NoSuchVersion"})


class S3Versions:
    """Looks at and removes versions below ``prefix`` (empty or ending in ``/``) of a bucket."""

    def __init__(
        self, client: S3Client, *, bucket: str, prefix: str, patience: Patience, location: str
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._patience = patience
        self._location = location

    def below(self, prefix: str) -> Iterator[ObjectVersion]:
        """:raises StorageError: the role may not list versions."""
        request: ListObjectVersionsRequestTypeDef = {"Bucket": self._bucket, "Prefix": self._prefix + prefix}
        while True:
            page = self._page(request, prefix)
            yield from self._of(page)
            if not page.get("IsTruncated"):
                return
            request["KeyMarker"] = page["NextKeyMarker"]
            request.pop("VersionIdMarker", None)
            if page.get("NextVersionIdMarker"):
                request["VersionIdMarker"] = page["NextVersionIdMarker"]

    def of(self, key: str) -> Iterator[ObjectVersion]:
        """Of exactly this key."""
        # Keys come in the order of their bytes: it is the first of those that begin so.
        return takewhile(lambda version: version.key == key, self.below(key))

    def _page(
        self, request: ListObjectVersionsRequestTypeDef, prefix: str
    ) -> ListObjectVersionsOutputTypeDef:
        try:
            return self._patience.run(
                lambda: self._client.list_object_versions(**request), what=self._what(prefix, "list versions")
            )
        except ForbiddenError as error:
            raise ForbiddenError(error.message, hint=_EXPIRER) from error

    def _of(self, page: ListObjectVersionsOutputTypeDef) -> list[ObjectVersion]:
        found = [
            ObjectVersion(
                one["Key"][len(self._prefix) :],
                one["Size"],
                one["LastModified"],
                one["VersionId"],
                one["IsLatest"],
            )
            for one in page.get("Versions", ())
            if not one["Key"].endswith("/")  # a folder somebody made in a browser
        ]
        found += [
            ObjectVersion(
                one["Key"][len(self._prefix) :],
                0,
                one["LastModified"],
                one["VersionId"],
                one["IsLatest"],
                is_marker=True,
            )
            for one in page.get("DeleteMarkers", ())
            if not one["Key"].endswith("/")
        ]
        return sorted(found, key=lambda version: version.key)

    def delete(self, versions: Iterable[tuple[str, str | None]]) -> tuple[Undeleted, ...]:
        """As :meth:`backstop.storage.base.Storage.delete_many`."""
        kept: list[Undeleted] = []
        left = iter(versions)
        while batch := list(islice(left, BATCH)):
            for key, version_id in self._delete_batch(batch):
                lock = self._lock_of_refused(key, version_id)
                kept.append(Undeleted(key, version_id, lock))
        return tuple(kept)

    def _delete_batch(self, batch: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
        """:returns: those that were refused."""
        objects: list[ObjectIdentifierTypeDef] = []
        for key, version_id in batch:
            one: ObjectIdentifierTypeDef = {"Key": self._prefix + key}
            if version_id is not None:
                one["VersionId"] = version_id
            objects.append(one)

        def call() -> DeleteObjectsOutputTypeDef:
            answer = self._client.delete_objects(
                Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True}
            )
            for failed in answer.get("Errors", ()):
                error = _as_error(failed.get("Code", ""))
                if isinstance(explain(error, ""), StorageUnavailableError):
                    raise error  # The whole batch again: what is gone already is no error.
            return answer

        what = self._what(batch[0][0], f"delete {len(batch)} objects")
        try:
            answer = self._patience.run(call, what=what)
        except ForbiddenError as error:
            raise ForbiddenError(error.message, hint=_EXPIRER) from error
        refused = []
        for failed in answer.get("Errors", ()):
            key = failed.get("Key", "")[len(self._prefix) :]
            if failed.get("Code") in _ABSENT:
                continue
            if failed.get("Code") != "AccessDenied":
                raise explain(_as_error(failed.get("Code", "")), self._what(key, "delete"))
            refused.append((key, failed.get("VersionId")))
        return refused

    def _lock_of_refused(self, key: str, version_id: str | None) -> ObjectLock:
        """:raises ForbiddenError: it is not locked, so it is the role that may not."""
        why = f"{self._what(key, 'delete')} failed: AccessDenied"
        try:
            lock = self._look(key, version_id)
        except ForbiddenError as error:
            raise ForbiddenError(f"{why}, and locks may not be looked at", hint=_EXPIRER) from error
        if lock is None:
            raise ForbiddenError(why, hint=_EXPIRER)
        return lock

    def lock(self, key: str, version_id: str | None) -> ObjectLock | None:
        """As :meth:`backstop.storage.base.Storage.lock`."""
        try:
            return self._look(key, version_id)
        except ForbiddenError:
            return None

    def _look(self, key: str, version_id: str | None) -> ObjectLock | None:
        if self._legal_hold(key, version_id):
            return ObjectLock(None)
        until = self._retained_until(key, version_id)
        return ObjectLock(until) if until else None

    def _legal_hold(self, key: str, version_id: str | None) -> bool:
        version = {} if version_id is None else {"VersionId": version_id}
        answer = self._ask(
            lambda: self._client.get_object_legal_hold(
                Bucket=self._bucket,
                Key=self._prefix + key,
                **version,  # type: ignore[arg-type]
            ),
            self._what(key, "look for a legal hold"),
        )
        return answer is not None and answer.get("LegalHold", {}).get("Status") == "ON"

    def _retained_until(self, key: str, version_id: str | None) -> datetime | None:
        _, until = self.retention(key, version_id)
        return until if until and until > datetime.now(timezone.utc) else None

    def retention(self, key: str, version_id: str | None) -> tuple[str | None, datetime | None]:
        """Mode and end of a version's lock, past ones too; None, None: it has none.

        :raises ForbiddenError: the role may not look.
        """
        version = {} if version_id is None else {"VersionId": version_id}
        answer = self._ask(
            lambda: self._client.get_object_retention(
                Bucket=self._bucket,
                Key=self._prefix + key,
                **version,  # type: ignore[arg-type]
            ),
            self._what(key, "look for a lock"),
        )
        found = answer.get("Retention", {}) if answer else {}
        return found.get("Mode"), found.get("RetainUntilDate")

    def _ask(self, call: Callable[[], T], what: str) -> T | None:
        """None: there is no lock, or no object."""

        def ask() -> T | None:
            try:
                return call()
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _NO_LOCK:
                    return None
                raise

        try:
            return self._patience.run(ask, what=what)
        except ObjectMissingError:
            return None

    def _what(self, key: str, operation: str) -> str:
        return f"{self._location}/{key}: {operation}"


def _as_error(code: str) -> ClientError:
    """What the same refusal would be as the answer about one object alone."""
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 200}}
    return ClientError(answer, "DeleteObjects")  # type: ignore[arg-type]
