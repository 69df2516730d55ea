"""What one bucket is set to: its versions, its policy, who may read it without credentials."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_s3 import S3Client

    from backstop.storage.s3_retry import Patience

T = TypeVar("T")

_NONE_SET = frozenset(
    {
        "NoSuchPublicAccessBlockConfiguration",
        "NoSuchBucketPolicy",
        "ObjectLockConfigurationNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)
_OF_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn")
_PUBLIC = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


class BucketSettings:
    """Asked one by one; each needs the permission that its name says, such as ``s3:GetBucketPolicy``."""

    def __init__(self, client: S3Client, *, bucket: str, patience: Patience) -> None:
        self._client = client
        self.bucket = bucket
        self._patience = patience

    @property
    def on_aws(self) -> bool:
        """Whether that is AWS itself, by whichever of its names; or another service."""
        host = urlsplit(self._client.meta.endpoint_url).hostname or ""
        return host.endswith(_OF_AWS)

    @property
    def partition(self) -> str:
        """Of AWS, as ARNs there begin: ``aws``, ``aws-cn``, ``aws-us-gov``; by the client's region."""
        from botocore.exceptions import UnknownRegionError
        from botocore.session import Session

        try:
            return str(Session().get_partition_for_region(self._client.meta.region_name))
        except UnknownRegionError:
            return "aws"

    def versioned(self) -> bool:
        """Whether what is overwritten or deleted stays as a version."""
        answer = self._ask(lambda: self._client.get_bucket_versioning(Bucket=self.bucket), "read versioning")
        return bool((answer or {}).get("Status") == "Enabled")

    def locks(self) -> bool:
        """Whether objects can be locked (S3 Object Lock)."""
        answer = self._ask(
            lambda: self._client.get_object_lock_configuration(Bucket=self.bucket), "read Object Lock"
        )
        found = (answer or {}).get("ObjectLockConfiguration", {})
        return bool(found.get("ObjectLockEnabled") == "Enabled")

    def closed_to_the_public(self) -> bool:
        """All four of S3's switches."""
        answer = self._ask(
            lambda: self._client.get_public_access_block(Bucket=self.bucket), "read the public access block"
        )
        found = (answer or {}).get("PublicAccessBlockConfiguration", {})
        return all(bool(found.get(name)) for name in _PUBLIC)

    def encryption(self) -> str | None:
        """By which algorithm the service encrypts what it stores; None: it says of none."""
        answer = self._ask(lambda: self._client.get_bucket_encryption(Bucket=self.bucket), "read encryption")
        rules = (answer or {}).get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
        return next((str(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]) for rule in rules), None)

    def logged_to(self) -> str | None:
        """The bucket that takes its access logs."""
        answer = self._ask(lambda: self._client.get_bucket_logging(Bucket=self.bucket), "read access logging")
        found = (answer or {}).get("LoggingEnabled", {}).get("TargetBucket")
        return str(found) if found else None

    def policy(self) -> dict[str, Any] | None:
        """:raises StorageError: it cannot be read."""
        answer = self._ask(lambda: self._client.get_bucket_policy(Bucket=self.bucket), "read the policy")
        return None if answer is None else dict(json.loads(answer["Policy"]))

    def keep_versions(self) -> None:
        self._do(
            lambda: self._client.put_bucket_versioning(
                Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"}
            ),
            "turn versioning on",
        )

    def close_to_the_public(self) -> None:
        self._do(
            lambda: self._client.put_public_access_block(
                Bucket=self.bucket,
                PublicAccessBlockConfiguration=dict.fromkeys(_PUBLIC, True),  # type: ignore[arg-type]
            ),
            "block public access",
        )

    def write_policy(self, policy: Mapping[str, Any]) -> None:
        """In the place of the one there is: read it right before."""
        self._do(
            lambda: self._client.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(policy)),
            "write the policy",
        )

    # -- Inside ----------------------------------------------------------------------------------------------

    def _ask(self, call: Callable[[], Any], what: str) -> dict[str, Any] | None:
        def unless_none() -> dict[str, Any] | None:
            try:
                return dict(call())
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _NONE_SET:
                    return None
                raise

        return self._patience.run(unless_none, what=f"s3://{self.bucket}: {what}")

    def _do(self, call: Callable[[], Any], what: str) -> None:
        self._patience.run(call, what=f"s3://{self.bucket}: {what}")
