"""What an S3 failure means: will time heal it, and what should somebody do about it."""

from __future__ import annotations

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from backstop.errors import ObjectMissingError, StorageError, StorageFullError, StorageUnavailableError

FAILURES = (boto.BotoCoreError, boto.ClientError, HTTPError, ResponseParserError)
"""Everything that a call of the client or a read of a body may raise."""


class PreconditionFailedError(StorageError):
    """The object exists already (If-None-Match), or is not the one we began to read (If-Match)."""


class UploadGoneError(StorageError):
    """The multipart upload was completed or aborted before."""


class ForbiddenError(StorageError):
    """These credentials may not do that."""


class SourceFileError(Exception):
    """The local file being uploaded could not be read to its end. Not an OSError: those mean the network."""


_BUSY_CODES = frozenset(
    {
        "ConditionalRequestConflict",
        "InternalError",
        "OperationAborted",
        "PriorRequestNotComplete",
        "RequestThrottled",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
        # A digest sent with the bytes did not match on arrival: they were damaged on the way.
        "BadDigest",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
        "IncompleteBody",
    }
)

_HINTS = {
    "NoSuchBucket": "create the bucket, or correct it in targets.yaml",
    "AccessDenied": "give these credentials the permissions listed in docs/format.md, “Who may do what”",
    "AllAccessDisabled": "ask the bucket's owner",
    "AccountProblem": "ask the bucket's owner",
    "InvalidAccessKeyId": "correct the access key (login) of the connection in targets.yaml",
    "SignatureDoesNotMatch": "correct the secret key (password) of the connection in targets.yaml",
    "ExpiredToken": "renew the session token of the connection in targets.yaml",
    "InvalidToken": "renew the session token of the connection in targets.yaml",
    "TokenRefreshRequired": "renew the session token of the connection in targets.yaml",
    "RequestTimeTooSkewed": "set this machine's clock (NTP)",
    "PermanentRedirect": "set the bucket's region in targets.yaml",
    "TemporaryRedirect": "set the bucket's region in targets.yaml",
    "AuthorizationHeaderMalformed": "set the bucket's region in targets.yaml",
    "IllegalLocationConstraintException": "set the bucket's region in targets.yaml",
    "301": "set the bucket's region in targets.yaml",
    "307": "set the bucket's region in targets.yaml",
    "InvalidObjectState": "the object was moved to an archive tier: restore it there first",
    "NotImplemented": "this S3 service lacks a feature Backstop needs; see docs/format.md",
    "KMS.DisabledException": "enable the bucket's own encryption key",
}

_ABSENT_CODES = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound", "NoSuchLifecycleConfiguration"})
_FULL_CODES = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"})


def explain(error: Exception, what: str) -> StorageError:
    """The storage error that a failure of the client means; only ``StorageUnavailableError`` is transient.

    No secret can be in it: of the answer only its code and status are repeated.

    :param what: the object and the operation, ``s3://bucket/key: upload``.
    """
    if isinstance(error, boto.ClientError):
        return _answered(error, what)
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        return StorageError(
            f"{what} failed: no credentials",
            hint="name a connection (conn_id) in targets.yaml, or give the host a role",
        )
    if isinstance(error, boto.SSLError | boto.ProxyConnectionError | boto.InvalidProxiesConfigError):
        return StorageError(
            f"{what} failed: {type(error).__name__}",
            hint="check the endpoint's certificate, the CA bundle (`verify`) and the proxy settings",
        )
    if isinstance(error, boto.HTTPClientError):
        inner = error.kwargs.get("error")
        if isinstance(inner, SourceFileError):
            return StorageError(f"{what} failed: {inner}", hint="check the disk of the staging directory")
    if isinstance(error, _NETWORK):
        return StorageUnavailableError(
            f"{what} failed: {_NETWORK_WORDS.get(type(error), 'the connection broke')}",
            hint="check that the endpoint is up and reachable from here, then run again",
        )
    return StorageError(f"{what} failed: {type(error).__name__}", hint="check the repository in targets.yaml")


_NETWORK = (
    boto.ConnectionError,  # unreachable, not answering in time
    boto.HTTPClientError,  # stalled, closed, reset
    boto.IncompleteReadError,
    boto.ResponseStreamingError,
    HTTPError,
    ResponseParserError,  # half an answer
)
_NETWORK_WORDS: dict[type[Exception], str] = {
    boto.EndpointConnectionError: "the endpoint cannot be reached",
    boto.ConnectTimeoutError: "the endpoint did not answer in time",
    boto.ReadTimeoutError: "the endpoint stopped answering",
    boto.ConnectionClosedError: "the endpoint closed the connection",
    boto.IncompleteReadError: "the answer ended early",
}


def _answered(error: boto.ClientError, what: str) -> StorageError:
    code = str(error.response.get("Error", {}).get("Code", "")) or "unknown"
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = f"{what} failed: HTTP {status} {code}".removesuffix(f" {status}")
    if status == 412 or code == "PreconditionFailed":
        return PreconditionFailedError(said)
    if code == "NoSuchUpload":
        return UploadGoneError(said)
    if code == "NoSuchBucket":
        return StorageError(said, hint=_HINTS[code])
    if code in _ABSENT_CODES:
        return ObjectMissingError(f"{what} failed: it does not exist")
    if status == 403 and code in ("AccessDenied", "403", "Forbidden"):
        return ForbiddenError(said, hint=_HINTS["AccessDenied"])
    if status == 507 or code in _FULL_CODES:
        return StorageFullError(said, hint="free space or raise the quota of the bucket, then run again")
    if code not in _HINTS and (status >= 500 or status == 429 or status == 409 or code in _BUSY_CODES):
        return StorageUnavailableError(said, hint="the service is busy or failing; run again later")
    return StorageError(said, hint=_HINTS.get(code, "look the code up in the service's documentation"))
