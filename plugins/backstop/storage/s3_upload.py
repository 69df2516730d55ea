"""Sends one local file to S3, in one request or in parts, and leaves nothing behind when it fails."""

from __future__ import annotations

import base64
import io
import os
import zlib
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import IO, TYPE_CHECKING, Any, cast

from backstop.errors import ObjectConflictError, StorageError, StorageUnavailableError
from backstop.storage.s3_errors import PreconditionFailedError, SourceFileError, UploadGoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from _typeshed import WriteableBuffer
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

    from backstop.storage.s3_retry import Patience

PART_BYTES = 16 * 1024 * 1024
PART_THREADS = 4
_MAX_PARTS = 10_000  # S3's limit
_READ_BYTES = 1024 * 1024


class FileSlice(io.RawIOBase):
    """``size_bytes`` of an open file from ``offset`` on, as a file of its own; holds none of it in memory.

    Slices of one descriptor may be read in several threads (pread).
    """

    def __init__(self, descriptor: int, *, name: str, offset: int, size_bytes: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._name = name
        self._offset = offset
        self._size_bytes = size_bytes
        self._position = 0

    def __len__(self) -> int:
        return self._size_bytes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """More than ``size`` bytes when little is asked for; less where the slice ends, or the disk likes.

        The HTTP client asks for 16 KiB at a time, and each piece costs it a call through all its layers.

        :raises SourceFileError: the file ends before the slice, or cannot be read.
        """
        if size is None or size < 0:
            size = self._size_bytes
        return self._take(max(size, _READ_BYTES) if size else 0)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        target = memoryview(buffer).cast("B")
        block = self._take(len(target))
        target[: len(block)] = block
        return len(block)

    def _take(self, size: int) -> bytes:
        count = min(size, max(0, self._size_bytes - self._position))
        if count == 0:
            return b""
        try:
            block = os.pread(self._descriptor, count, self._offset + self._position)
        except OSError as error:
            raise SourceFileError(f"{self._name} cannot be read: {error.strerror}") from error
        if not block:
            raise SourceFileError(f"{self._name} became shorter during its upload")
        self._position += len(block)
        return block

    def crc32(self) -> str:
        """As S3 wants it: base64 of the four bytes. Leaves the position at the start."""
        checksum = 0
        self.seek(0)
        while block := self.read(_READ_BYTES):
            checksum = zlib.crc32(block, checksum)
        self.seek(0)
        return _base64(checksum)


def _base64(checksum: int) -> str:
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()


class Upload:
    """One file, or what is in memory, on its way to one key.

    Every request carries a CRC32 which the service compares, so a damaged part never becomes an object. The
    final request is conditional: nothing is replaced. The key is ours alone (unique by attempt), so an object
    that is there after an unanswered final request is the one we sent.

    :param lock: what the request that creates the object says of its lock: the first one, for parts.
    :param size_of_stored: the size of the object that has the key, None when none or hidden from us.
    """

    def __init__(
        self,
        client: S3Client,
        *,
        bucket: str,
        key: str,
        source: Path | bytes,
        patience: Patience,
        what: str,
        size_of_stored: Callable[[], int | None],
        part_bytes: int = PART_BYTES,
        part_threads: int = PART_THREADS,
        lock: Mapping[str, Any] | None = None,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._source = source
        self._patience = patience
        self._what = what
        self._size_of_stored = size_of_stored
        self._part_bytes = part_bytes
        self._part_threads = part_threads
        self._lock: dict[str, Any] = dict(lock or {})
        self._final_requests = 0

    def run(self) -> tuple[int, str | None]:
        """Send it. Returns its size in bytes and the version id, None where there are no versions."""
        if isinstance(self._source, bytes):
            data, checksum = self._source, _base64(zlib.crc32(self._source))
            return len(data), self._finally(lambda: self._put(data, checksum), len(data))
        return self._run_file(self._source)

    def _run_file(self, source: Path) -> tuple[int, str | None]:
        try:
            descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise StorageError(
                f"{source} cannot be uploaded: {error.strerror}",
                hint="check the disk of the staging directory",
            ) from error
        try:
            size_bytes = os.fstat(descriptor).st_size
            return size_bytes, self._send(descriptor, size_bytes)
        except SourceFileError as error:
            raise StorageError(
                f"{self._what} failed: {error}", hint="check the disk of the staging directory"
            ) from error
        finally:
            os.close(descriptor)

    def _send(self, descriptor: int, size_bytes: int) -> str | None:
        if size_bytes <= self._part_bytes:
            whole = self._slice(descriptor, 0, size_bytes)
            checksum = whole.crc32()
            return self._finally(lambda: self._put_file(whole, checksum), size_bytes)
        return self._send_parts(descriptor, size_bytes)

    def _slice(self, descriptor: int, offset: int, size_bytes: int) -> FileSlice:
        return FileSlice(descriptor, name=str(self._source), offset=offset, size_bytes=size_bytes)

    def _put_file(self, whole: FileSlice, checksum: str) -> str | None:
        whole.seek(0)
        return self._put(cast("IO[bytes]", whole), checksum)

    def _put(self, body: IO[bytes] | bytes, checksum: str) -> str | None:
        self._final_requests += 1
        answer = self._client.put_object(
            Bucket=self._bucket,
            Key=self._key,
            Body=body,
            IfNoneMatch="*",
            ChecksumCRC32=checksum,
            **self._lock,
        )
        return answer.get("VersionId")

    def _send_parts(self, descriptor: int, size_bytes: int) -> str | None:
        upload_id = self._patience.run(
            lambda: self._client.create_multipart_upload(
                Bucket=self._bucket, Key=self._key, ChecksumAlgorithm="CRC32", **self._lock
            ),
            what=self._what,
        )["UploadId"]
        try:
            parts = self._upload_parts(descriptor, size_bytes, upload_id)
            return self._finally(lambda: self._complete(upload_id, parts), size_bytes)
        except BaseException as error:
            self._abort(upload_id, error)
            raise

    def _upload_parts(self, descriptor: int, size_bytes: int, upload_id: str) -> list[CompletedPartTypeDef]:
        part_bytes = max(self._part_bytes, -(-size_bytes // _MAX_PARTS))
        slices = [
            self._slice(descriptor, offset, min(part_bytes, size_bytes - offset))
            for offset in range(0, size_bytes, part_bytes)
        ]
        # Left only when every thread has ended: a part arriving after the abort would stay, and be billed.
        with ThreadPoolExecutor(self._part_threads, thread_name_prefix="s3-part") as threads:
            futures = [
                threads.submit(self._upload_part, upload_id, number, part)
                for number, part in enumerate(slices, start=1)
            ]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                threads.shutdown(wait=False, cancel_futures=True)
        failed = [error for future in futures if not future.cancelled() and (error := future.exception())]
        if failed:
            raise failed[0]
        return [future.result() for future in futures]

    def _upload_part(self, upload_id: str, number: int, part: FileSlice) -> CompletedPartTypeDef:
        checksum = part.crc32()

        def send() -> str:
            part.seek(0)
            return self._client.upload_part(
                Bucket=self._bucket,
                Key=self._key,
                UploadId=upload_id,
                PartNumber=number,
                Body=cast("IO[bytes]", part),
                ChecksumCRC32=checksum,
            )["ETag"]

        etag = self._patience.run(send, what=f"{self._what} (part {number})")
        return {"PartNumber": number, "ETag": etag, "ChecksumCRC32": checksum}

    def _complete(self, upload_id: str, parts: list[CompletedPartTypeDef]) -> str | None:
        self._final_requests += 1
        answer = self._client.complete_multipart_upload(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )
        return answer.get("VersionId")

    def _finally(self, request: Callable[[], str | None], size_bytes: int) -> str | None:
        """The request that makes the object appear; its answer may get lost, and then it is made again."""
        try:
            return self._patience.run(request, what=self._what)
        except (PreconditionFailedError, UploadGoneError) as error:
            if self._final_requests == 1:
                raise ObjectConflictError(
                    f"{self._what} failed: another object has this key",
                    hint="it is never overwritten; find out who wrote it",
                ) from error
            if self._size_of_stored() == size_bytes:
                return None
            raise StorageUnavailableError(
                f"{self._what} failed: its acknowledgement was lost, and what is stored is not known",
                hint="run again; the next attempt uses names of its own",
            ) from error

    def _abort(self, upload_id: str, cause: BaseException) -> None:
        try:
            self._patience.run(
                lambda: self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=self._key, UploadId=upload_id
                ),
                what=f"{self._what}: abort",
            )
        except UploadGoneError:
            pass  # completed or aborted after all
        except StorageError as error:
            # The first failure matters more; the reader learns of both.
            if isinstance(cause, StorageError):
                cause.hint += (
                    f"; its parts could not be removed ({error.message}): let the bucket's lifecycle "
                    "rule abort incomplete uploads"
                )
