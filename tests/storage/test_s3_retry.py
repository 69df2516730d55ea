"""Patience has bounds, and nothing is tried again that time cannot heal."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from backstop.errors import ObjectMissingError, StorageError, StorageFullError, StorageUnavailableError
from backstop.storage.s3_errors import (
    ForbiddenError,
    PreconditionFailedError,
    SourceFileError,
    UploadGoneError,
    explain,
)
from backstop.storage.s3_retry import Patience

URL = "http://127.0.0.1:1"


def answered(status: int, code: str) -> ClientError:
    response = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PutObject")  # type: ignore[arg-type]


TRANSIENT = [
    EndpointConnectionError(endpoint_url=URL),
    ConnectTimeoutError(endpoint_url=URL),
    ReadTimeoutError(endpoint_url=URL),
    ConnectionClosedError(endpoint_url=URL),
    HTTPClientError(error=OSError("reset")),
    IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ResponseStreamingError(error=OSError("reset")),
    ResponseParserError("half"),
    answered(500, "InternalError"),
    answered(502, "502"),
    answered(503, "SlowDown"),
    answered(503, "ServiceUnavailable"),
    answered(429, "TooManyRequests"),
    answered(400, "RequestTimeout"),
    answered(400, "BadDigest"),
    answered(409, "ConditionalRequestConflict"),
    answered(409, "OperationAborted"),
]

PERMANENT = [
    (answered(403, "AccessDenied"), ForbiddenError),
    (answered(403, "403"), ForbiddenError),
    (answered(403, "InvalidAccessKeyId"), StorageError),
    (answered(403, "SignatureDoesNotMatch"), StorageError),
    (answered(403, "RequestTimeTooSkewed"), StorageError),
    (answered(400, "ExpiredToken"), StorageError),
    (answered(301, "PermanentRedirect"), StorageError),
    (answered(404, "NoSuchBucket"), StorageError),
    (answered(404, "NoSuchKey"), ObjectMissingError),
    (answered(404, "404"), ObjectMissingError),
    (answered(404, "NoSuchUpload"), UploadGoneError),
    (answered(412, "PreconditionFailed"), PreconditionFailedError),
    (answered(412, "412"), PreconditionFailedError),
    (answered(507, "InsufficientStorage"), StorageFullError),
    (answered(403, "QuotaExceeded"), StorageFullError),
    (answered(501, "NotImplemented"), StorageError),
    (answered(400, "SomethingNew"), StorageError),
    (SSLError(endpoint_url=URL, error="certificate"), StorageError),
    (HTTPClientError(error=SourceFileError("gone")), StorageError),
    (ParamValidationError(report="r"), StorageError),
]


def name(value: object) -> str:
    return f"{value}"[:60] if isinstance(value, Exception) else ""


class Time:
    """Passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def patience(self, **bounds: float) -> Patience:
        return Patience(sleep=self.sleep, monotonic=lambda: self.now, **bounds)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", TRANSIENT, ids=name)
def test_what_time_may_heal_is_tried_again(error):
    time, outcomes = Time(), iter([error, error, "done"])

    def call() -> str:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert time.patience().run(call, what="s3://b/k: put") == "done"
    assert len(time.pauses) == 2


@pytest.mark.parametrize(("error", "kind"), PERMANENT, ids=name)
def test_what_time_cannot_heal_is_raised_at_once(error, kind):
    time = Time()

    def call() -> None:
        raise error

    with pytest.raises(kind, match="s3://b/k: put") as caught:
        time.patience().run(call, what="s3://b/k: put")

    assert not isinstance(caught.value, StorageUnavailableError)
    assert time.pauses == []


def always(error: Exception):
    def call() -> None:
        raise error

    return call


def test_pauses_grow_to_their_bound_and_end():
    time = Time()

    with pytest.raises(StorageUnavailableError, match=r"HTTP 503 SlowDown \(9 attempts in"):
        time.patience(attempts=9).run(always(answered(503, "SlowDown")), what="x")

    longest = [0.25, 0.5, 1, 2, 4, 8, 8, 8]
    assert len(time.pauses) == 8
    assert all(most / 2 <= pause <= most for pause, most in zip(time.pauses, longest, strict=True))


def test_by_default_a_refused_connection_is_given_up_within_twenty_seconds():
    time = Time()

    with pytest.raises(StorageUnavailableError):
        time.patience().run(always(EndpointConnectionError(endpoint_url=URL)), what="x")

    assert 7 <= time.now <= 20


def test_by_default_stalls_of_a_minute_are_given_up_after_three():
    time = Time()
    tries = []

    def stall() -> None:
        tries.append(time.now)
        time.now += 60
        raise ReadTimeoutError(endpoint_url=URL)

    with pytest.raises(StorageUnavailableError, match=r"stopped answering \(3 attempts"):
        time.patience().run(stall, what="x")

    assert len(tries) == 3


@pytest.mark.parametrize("error", [*TRANSIENT, *(error for error, _ in PERMANENT)], ids=name)
def test_every_failure_names_the_object_and_most_a_next_step(error):
    failure = explain(error, "s3://b/k: put")

    assert failure.message.startswith("s3://b/k: put failed: ")
    internal = PreconditionFailedError | UploadGoneError | ObjectMissingError  # callers deal with these
    assert failure.hint or isinstance(failure, internal)
