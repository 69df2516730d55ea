"""Reads one S3 object forward to its end, over as many connections as that takes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError, StorageUnavailableError
from backstop.storage.base import ObjectInfo
from backstop.storage.s3_errors import FAILURES, PreconditionFailedError, explain

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef, GetObjectRequestTypeDef

    from backstop.storage.s3_retry import Patience

_PROGRESS_BYTES = 1024 * 1024


class ResumingReader(io.RawIOBase):
    """The object from its first byte to its last.

    When the connection is cut or stalls, it is resumed by range at the same place of the same object
    (If-Match); patience starts anew after each megabyte. It ends early only by raising.

    :param key: in the bucket; ``name`` is the same below the storage's prefix, as :attr:`info` says it.
    """

    def __init__(
        self,
        client: S3Client,
        *,
        bucket: str,
        key: str,
        name: str,
        version_id: str | None,
        patience: Patience,
        what: str,
    ) -> None:
        super().__init__()
        self._client = client
        self._request: GetObjectRequestTypeDef = {"Bucket": bucket, "Key": key}
        if version_id is not None:
            self._request["VersionId"] = version_id
        self._patience = patience
        self._what = what
        self._position = 0
        self._failures = 0
        self._failed_at = 0
        self._body: StreamingBody | None = None
        answer = self._get()
        self._body = answer["Body"]
        self.info = ObjectInfo(
            name, answer["ContentLength"], answer["LastModified"], answer.get("VersionId", version_id)
        )
        self._request["IfMatch"] = answer["ETag"]

    def _get(self) -> GetObjectOutputTypeDef:
        return self._patience.run(lambda: self._client.get_object(**self._request), what=self._what)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        wanted = memoryview(buffer).cast("B")
        while self._position < self.info.size_bytes:
            if self._body is None:
                self._body = self._resume()
            try:
                count = self._body.readinto(wanted)  # type: ignore[arg-type] # the stubs expect a file
            except FAILURES as error:
                self._gave_up(error)
                continue
            if count or not len(wanted):
                self._position += count
                return count
            self._gave_up(None)
        return 0

    def _resume(self) -> StreamingBody:
        self._request["Range"] = f"bytes={self._position}-"
        try:
            return self._get()["Body"]
        except PreconditionFailedError as error:
            raise IntegrityError(
                f"{self._what}: the object was replaced while it was read",
                hint="objects are never rewritten: find out who did; restore from another repository",
            ) from error

    def _gave_up(self, error: Exception | None) -> None:
        """The body failed, or ended early. Raise, or let the caller resume after a pause."""
        self._drop_body()
        if self._position - self._failed_at >= _PROGRESS_BYTES:
            self._failures = 0
        self._failed_at = self._position
        self._failures += 1
        reason = explain(error, self._what) if error else StorageUnavailableError(f"{self._what} ended early")
        if self._failures >= self._patience.attempts or not isinstance(reason, StorageUnavailableError):
            message = f"{reason.message} at byte {self._position} of {self.info.size_bytes}"
            raise type(reason)(message, hint=reason.hint) from error
        self._patience.pause(self._failures)

    def _drop_body(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def close(self) -> None:
        # Also the end of a reader that stops half-way: the connection is not reused with bytes still in it.
        self._drop_body()
        super().close()
