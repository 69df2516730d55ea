"""A repository in a bucket of S3, or of any service that speaks its protocol."""

from __future__ import annotations

import base64
import hashlib
import io
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from backstop.errors import ObjectConflictError, ObjectMissingError, ObjectTooLargeError, StorageError
from backstop.storage.base import ObjectInfo
from backstop.storage.keys import DESCRIPTION, check_key, check_prefix
from backstop.storage.s3_errors import ForbiddenError, PreconditionFailedError
from backstop.storage.s3_locks import S3Locks
from backstop.storage.s3_multipart import Multipart
from backstop.storage.s3_reader import ResumingReader
from backstop.storage.s3_retry import Patience
from backstop.storage.s3_upload import PART_BYTES, PART_THREADS, Upload
from backstop.storage.s3_versions import S3Versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef, ListObjectsV2RequestTypeDef

    from backstop.model.object_lock import LockRule
    from backstop.storage.base import IncompleteUpload, ObjectLock, ObjectVersion, Undeleted

_BUFFER_BYTES = 1024 * 1024


class S3Storage:
    """Objects below ``prefix`` of ``bucket``; keeps version ids where the bucket is versioned.

    Needs no permission beyond what each operation says: the look at a payload after its upload is skipped
    where the role may not (docs/format.md, “Who may do what”).

    :param client: from :func:`backstop.storage.s3_client.s3_client`; shared by threads.
    :param patience: how long transient faults are retried.
    :param lock_rule: lock what is put as it says, in a bucket with Object Lock.
    :param part_bytes: files larger than this go in parts of this size, ``part_threads`` at a time.
    """

    def __init__(
        self,
        client: S3Client,
        *,
        bucket: str,
        prefix: str = "",
        patience: Patience | None = None,
        part_bytes: int = PART_BYTES,
        part_threads: int = PART_THREADS,
        lock_rule: LockRule | None = None,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{check_key(prefix.strip('/'))}/" if prefix.strip("/") else ""
        self._patience = patience or Patience()
        self._part_bytes = part_bytes
        self._part_threads = part_threads
        self._versions = S3Versions(
            client, bucket=bucket, prefix=self._prefix, patience=self._patience, location=self.location
        )
        self._lock_rule = lock_rule
        self._locks: S3Locks | None = None
        if lock_rule is not None:
            self._locks = S3Locks(
                client, bucket=bucket, rule=lock_rule, versions=self._versions, patience=self._patience
            )

    @property
    def location(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def put_once(self, key: str, data: bytes) -> ObjectInfo:
        where = self._key(key)
        lock = self._lock_of_new(key)
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        try:
            answer = self._patience.run(
                lambda: self._client.put_object(
                    Bucket=self._bucket,
                    Key=where,
                    Body=data,
                    IfNoneMatch="*",
                    ChecksumSHA256=digest,
                    ContentType="application/json" if key.endswith(".json") else "application/octet-stream",
                    **lock,
                ),
                what=self._what(key, "put"),
            )
        except PreconditionFailedError:
            return self._same(key, data)
        return ObjectInfo(key, len(data), _answered_at(answer), answer.get("VersionId"))

    def _same(self, key: str, data: bytes) -> ObjectInfo:
        """What is there already: ours, when an earlier acknowledgement got lost, or somebody else's."""
        try:
            with self._reader(key, None) as reader:
                if reader.info.size_bytes == len(data) and reader.readall() == data:
                    return reader.info
        except ObjectMissingError:
            raise ObjectConflictError(
                f"{self.location}/{key} existed when it was to be created and is gone now",
                hint="somebody deletes in this repository; find out who, then run again",
            ) from None
        raise ObjectConflictError(
            f"{self.location}/{key} exists with other content",
            hint="it is never overwritten; find out who wrote it",
        )

    def upload(self, key: str, source: Path | bytes) -> ObjectInfo:
        upload = Upload(
            self._client,
            bucket=self._bucket,
            key=self._key(key),
            source=source,
            patience=self._patience,
            what=self._what(key, "upload"),
            size_of_stored=lambda: self._size(key),
            part_bytes=self._part_bytes,
            part_threads=self._part_threads,
            lock=self._lock_of_new(key),
        )
        size_bytes, version_id = upload.run()
        stored = self._look(key)
        if stored is None:  # not allowed to look; the service has compared the checksum of every byte
            return ObjectInfo(key, size_bytes, datetime.now(timezone.utc), version_id)
        if stored.size_bytes != size_bytes:
            raise StorageError(
                f"{self.location}/{key} has {stored.size_bytes} bytes after {size_bytes} were acknowledged",
                hint="do not trust this S3 service with backups",
            )
        return ObjectInfo(key, size_bytes, stored.modified_at, version_id or stored.version_id)

    def _look(self, key: str) -> ObjectInfo | None:
        """The object just uploaded; None when our role may not see it.

        :raises StorageError: it is not there.
        """
        try:
            stored = self.stat(key)
        except ForbiddenError:
            return None
        if stored is None:
            raise StorageError(
                f"{self.location}/{key} does not exist although its upload was acknowledged",
                hint="do not trust this S3 service with backups",
            )
        return stored

    def _size(self, key: str) -> int | None:
        try:
            stored = self.stat(key)
        except StorageError:
            return None
        return stored.size_bytes if stored else None

    def read(self, key: str, *, max_bytes: int = 64 * 1024 * 1024, version_id: str | None = None) -> bytes:
        with self._reader(key, version_id) as reader:
            if reader.info.size_bytes > max_bytes:
                raise ObjectTooLargeError(
                    f"{self.location}/{key} has {reader.info.size_bytes} bytes, more than {max_bytes}"
                )
            return reader.readall()

    def open(self, key: str, *, version_id: str | None = None) -> AbstractContextManager[BinaryIO]:
        reader = io.BufferedReader(self._reader(key, version_id), _BUFFER_BYTES)
        return cast("AbstractContextManager[BinaryIO]", reader)

    def _reader(self, key: str, version_id: str | None) -> ResumingReader:
        return ResumingReader(
            self._client,
            bucket=self._bucket,
            key=self._key(key),
            name=key,
            version_id=version_id,
            patience=self._patience,
            what=self._what(key, "read"),
        )

    def stat(self, key: str) -> ObjectInfo | None:
        where = self._key(key)
        try:
            found = self._patience.run(
                lambda: self._client.head_object(Bucket=self._bucket, Key=where), what=self._what(key, "look")
            )
        except ObjectMissingError:
            return None
        return ObjectInfo(key, found["ContentLength"], found["LastModified"], found.get("VersionId"))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        request: ListObjectsV2RequestTypeDef = {
            "Bucket": self._bucket,
            "Prefix": self._prefix + check_prefix(prefix),
        }
        for page in self._pages(request, prefix):
            for found in page.get("Contents", ()):
                if not found["Key"].endswith("/"):  # a folder somebody made in a browser
                    key = found["Key"][len(self._prefix) :]
                    yield ObjectInfo(key, found["Size"], found["LastModified"])

    def folders(self) -> Iterator[str]:
        request: ListObjectsV2RequestTypeDef = {
            "Bucket": self._bucket,
            "Prefix": self._prefix,
            "Delimiter": "/",
        }
        for page in self._pages(request, ""):
            for found in page.get("CommonPrefixes", ()):
                name = found["Prefix"][len(self._prefix) : -1]
                if name and not name.startswith("."):  # no key of ours begins so
                    yield name

    def _pages(
        self, request: ListObjectsV2RequestTypeDef, prefix: str
    ) -> Iterator[ListObjectsV2OutputTypeDef]:
        while True:
            page = self._page(request, prefix)
            yield page
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def _page(self, request: ListObjectsV2RequestTypeDef, prefix: str) -> ListObjectsV2OutputTypeDef:
        return self._patience.run(
            lambda: self._client.list_objects_v2(**request), what=self._what(prefix, "list")
        )

    def delete(self, key: str, *, version_id: str | None = None) -> None:
        where = self._key(key)
        version = {} if version_id is None else {"VersionId": version_id}
        try:
            self._patience.run(
                lambda: self._client.delete_object(Bucket=self._bucket, Key=where, **version),  # type: ignore[arg-type]
                what=self._what(key, "delete"),
            )
        except ObjectMissingError:
            return

    def incomplete_uploads(self, prefix: str) -> Iterator[IncompleteUpload]:
        return self._multipart().list(self._prefix, check_prefix(prefix))

    def abort_upload(self, upload: IncompleteUpload) -> None:
        self._multipart().abort(self._key(upload.key), upload.upload_id)

    def _multipart(self) -> Multipart:
        return Multipart(self._client, bucket=self._bucket, patience=self._patience)

    def versions(self, prefix: str) -> Iterator[ObjectVersion]:
        return self._versions.below(check_prefix(prefix))

    def versions_of(self, key: str) -> Iterator[ObjectVersion]:
        return self._versions.of(check_key(key))

    def delete_many(self, versions: Iterable[tuple[str, str | None]]) -> tuple[Undeleted, ...]:
        return self._versions.delete((check_key(key), version_id) for key, version_id in versions)

    def lock(self, key: str, *, version_id: str | None = None) -> ObjectLock | None:
        return self._versions.lock(check_key(key), version_id)

    @property
    def lock_rule(self) -> LockRule | None:
        return self._lock_rule

    def extend_lock(self, key: str, *, until: datetime, version_id: str | None = None) -> None:
        if self._locks is not None:
            self._locks.extend(
                check_key(key),
                self._key(key),
                until=until,
                version_id=version_id,
                what=self._what(key, "extend its lock"),
            )

    def _lock_of_new(self, key: str) -> dict[str, Any]:
        return self._locks.headers(key) if self._locks else {}

    def check(self) -> datetime | None:
        """Lists one name, that of the repository's description: no role may list less than it may see."""
        request: ListObjectsV2RequestTypeDef = {
            "Bucket": self._bucket,
            "Prefix": self._prefix + DESCRIPTION,
            "MaxKeys": 1,
        }
        page = self._page(request, DESCRIPTION)
        return _dated(page)

    def probe(self, key: str) -> None:
        """An upload in parts that is begun and aborted: needs the right to put and to abort."""
        self._lock_of_new(key)  # says what a backup would be told, where the bucket cannot lock
        self._multipart().probe(self._key(key))

    # -- Inside ----------------------------------------------------------------------------------------------

    def _key(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _what(self, key: str, operation: str) -> str:
        return f"{self.location}/{key}: {operation}"


def _answered_at(answer: Mapping[str, Any]) -> datetime:
    """The service's own time of the answer: what it will say the object's time is, give or take a second."""
    return _dated(answer) or datetime.now(timezone.utc)


def _dated(answer: Mapping[str, Any]) -> datetime | None:
    header = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(header) if header else None
