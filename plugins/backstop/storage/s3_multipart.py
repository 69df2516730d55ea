"""Uploads in parts that nobody finished: found, measured, aborted."""

from __future__ import annotations

import base64
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from backstop.errors import ObjectMissingError, StorageError
from backstop.storage.base import IncompleteUpload
from backstop.storage.s3_errors import UploadGoneError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        ListMultipartUploadsOutputTypeDef,
        ListPartsOutputTypeDef,
    )

    from backstop.storage.s3_retry import Patience

_ONE_BYTE = b"\0"
_CRC32 = base64.b64encode(zlib.crc32(_ONE_BYTE).to_bytes(4, "big")).decode()


class Multipart:
    """The incomplete uploads of one bucket."""

    def __init__(self, client: S3Client, *, bucket: str, patience: Patience) -> None:
        self._client = client
        self._bucket = bucket
        self._patience = patience

    def list(self, folder: str, prefix: str) -> Iterator[IncompleteUpload]:
        """Those to keys below ``folder`` that start with ``prefix`` there; keys come without the folder."""
        request: dict[str, Any] = {"Bucket": self._bucket, "Prefix": folder + prefix}
        while True:
            page = self._page(request)
            for found in page.get("Uploads", ()):
                if not found["Key"].startswith(folder + prefix):
                    continue  # a service that takes no notice of Prefix
                yield IncompleteUpload(
                    found["Key"][len(folder) :],
                    found["UploadId"],
                    found["Initiated"],
                    self._bytes(found["Key"], found["UploadId"]),
                )
            if not page.get("IsTruncated") or not page.get("NextKeyMarker"):
                return
            request["KeyMarker"] = page["NextKeyMarker"]
            request["UploadIdMarker"] = page.get("NextUploadIdMarker", "")

    def abort(self, key: str, upload_id: str) -> None:
        """Remove its parts; gone already is success."""
        try:
            self._patience.run(
                lambda: self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id),
                what=f"s3://{self._bucket}/{key}: abort an upload",
            )
        except (UploadGoneError, ObjectMissingError):
            return

    def probe(self, key: str) -> None:
        """Begin an upload to the key, send one byte, abort it: no object comes of that, and no version.

        Should the abort get lost, what stays is an incomplete upload of a byte, which the bucket's lifecycle
        or ``orphans`` takes away.
        """
        what = f"s3://{self._bucket}/{key}: try to write"
        begun = self._patience.run(
            lambda: self._client.create_multipart_upload(
                Bucket=self._bucket, Key=key, ChecksumAlgorithm="CRC32"
            ),
            what=what,
        )
        try:
            self._patience.run(
                lambda: self._client.upload_part(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=begun["UploadId"],
                    PartNumber=1,
                    Body=_ONE_BYTE,
                    # As backups send one: a bucket with Object Lock asks for it.
                    ChecksumCRC32=_CRC32,
                ),
                what=what,
            )
        except StorageError:
            with suppress(StorageError):
                self.abort(key, begun["UploadId"])
            raise
        self.abort(key, begun["UploadId"])

    def _page(self, request: dict[str, Any]) -> ListMultipartUploadsOutputTypeDef:
        return self._patience.run(
            lambda: self._client.list_multipart_uploads(**request),
            what=f"s3://{self._bucket}/{request['Prefix']}: list incomplete uploads",
        )

    def _bytes(self, key: str, upload_id: str) -> int:
        request: dict[str, Any] = {"Bucket": self._bucket, "Key": key, "UploadId": upload_id}
        count = 0
        while True:
            try:
                page: ListPartsOutputTypeDef = self._patience.run(
                    lambda: self._client.list_parts(**request),
                    what=f"s3://{self._bucket}/{key}: list the parts of an upload",
                )
            except (UploadGoneError, ObjectMissingError):
                return count  # completed or aborted since it was listed
            count += sum(part["Size"] for part in page.get("Parts", ()))
            if not page.get("IsTruncated"):
                return count
            request["PartNumberMarker"] = page["NextPartNumberMarker"]
