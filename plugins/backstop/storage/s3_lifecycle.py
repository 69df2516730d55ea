"""The lifecycle rules of one bucket: read and written whole, as the service wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import ObjectMissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_s3 import S3Client

    from backstop.storage.s3_retry import Patience

_PASSED_ON = "TransitionDefaultMinimumObjectSize"


class BucketLifecycle:
    """Rules as the service says them, those of others included: none is interpreted here, none is lost."""

    def __init__(self, client: S3Client, *, bucket: str, patience: Patience) -> None:
        self._client = client
        self._bucket = bucket
        self._patience = patience
        self._others: dict[str, Any] = {}

    @property
    def location(self) -> str:
        return f"s3://{self._bucket}"

    def rules(self) -> list[dict[str, Any]]:
        """All of them; empty where the bucket has none. :raises StorageError: they cannot be read."""
        try:
            answer: dict[str, Any] = self._patience.run(
                lambda: dict(self._client.get_bucket_lifecycle_configuration(Bucket=self._bucket)),
                what=f"{self.location}: read the lifecycle rules",
            )
        except ObjectMissingError:
            return []
        self._others = {_PASSED_ON: answer[_PASSED_ON]} if _PASSED_ON in answer else {}
        return list(answer.get("Rules", ()))

    def write(self, rules: Sequence[dict[str, Any]]) -> None:
        """Put these in place of all there were; call :meth:`rules` right before.

        :raises StorageError: refused.
        """
        self._patience.run(
            lambda: self._client.put_bucket_lifecycle_configuration(
                Bucket=self._bucket,
                LifecycleConfiguration={"Rules": list[Any](rules)},
                **self._others,
            ),
            what=f"{self.location}: write the lifecycle rules",
        )
