"""What AWS KMS says of a key, without using it: is it enabled, how old is it, does it rotate?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.errors import KeyServiceUnavailableError, KeyUnavailableError

if TYPE_CHECKING:
    from datetime import datetime

_STATES = {
    "Enabled": "usable",
    "Updating": "usable",
    "Disabled": "disabled",
    "PendingDeletion": "pending deletion",
    "PendingReplicaDeletion": "pending deletion",
    "PendingImport": "missing",  # its material has expired or was deleted
}
_DENIED = frozenset({"AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId"})
_NO_ROTATION = frozenset({"UnsupportedOperationException", "KMSInvalidStateException", "NotFoundException"})


@dataclass(frozen=True, slots=True)
class KmsKeyStatus:
    """One key.

    :param state: ``usable``, ``disabled``, ``pending deletion``, ``missing`` or ``unknown``.
    :param created_at: of the key, or of its newest material where KMS lets that be told.
    :param goes_at: when a key that is pending deletion will be gone.
    :param rotates: by itself; None: it cannot, or nobody may ask.
    """

    state: str
    created_at: datetime | None = None
    goes_at: datetime | None = None
    rotates: bool | None = None
    period: timedelta | None = None
    next_rotation_at: datetime | None = None


def kms_key_status(client: Any, arn: str) -> KmsKeyStatus:
    """Needs ``kms:DescribeKey`` and ``kms:GetKeyRotationStatus``.

    :param client: a boto3 KMS client of the key's region.
    :raises KeyServiceUnavailableError: KMS does not answer. :raises KeyUnavailableError: we may not ask.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        described = client.describe_key(KeyId=arn)["KeyMetadata"]
    except ClientError as error:
        if _code(error) == "NotFoundException":
            return KmsKeyStatus("missing")
        raise refused_by_kms(error, arn, "kms:DescribeKey") from error
    except BotoCoreError as error:
        raise silent_kms(error, arn) from error
    state = _STATES.get(described["KeyState"], "unknown")
    created_at, goes_at = described["CreationDate"], described.get("DeletionDate")
    if state != "usable":
        return KmsKeyStatus(state, created_at, goes_at)
    try:
        rotation = client.get_key_rotation_status(KeyId=arn)
    except ClientError as error:
        if _code(error) in _NO_ROTATION | _DENIED:
            return KmsKeyStatus(state, created_at)
        raise refused_by_kms(error, arn, "kms:GetKeyRotationStatus") from error
    except BotoCoreError as error:
        raise silent_kms(error, arn) from error
    days, following = rotation.get("RotationPeriodInDays"), rotation.get("NextRotationDate")
    period = timedelta(days=days) if days else None
    if period and following:
        created_at = max(created_at, following - period)
    return KmsKeyStatus(
        state,
        created_at,
        rotates=bool(rotation["KeyRotationEnabled"]),
        period=period,
        next_rotation_at=following,
    )


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def refused_by_kms(error: Any, arn: str, permission: str) -> KeyUnavailableError:
    code = _code(error)
    if code in _DENIED:
        return KeyUnavailableError(
            f"KMS does not say how key {arn} is ({code})",
            hint=f"let the credentials of `keys` in targets.yaml call {permission}",
        )
    return KeyServiceUnavailableError(
        f"KMS does not say how key {arn} is ({code})", hint="try again when the key service answers"
    )


def silent_kms(error: Exception, arn: str) -> KeyServiceUnavailableError:
    return KeyServiceUnavailableError(
        f"KMS does not answer about key {arn} ({type(error).__name__})",
        hint="check the network, the endpoint and the credentials of `keys` in targets.yaml",
    )
