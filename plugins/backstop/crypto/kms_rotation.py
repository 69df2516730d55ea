"""Have AWS KMS make new key material: by itself every so often, or at once.

The key's ARN stays, and so does its former material: what was wrapped by it is still opened
(https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.crypto.kms_status import kms_key_status, refused_by_kms, silent_kms
from backstop.errors import KeyUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from backstop.crypto.kms_status import KmsKeyStatus


def ensure_rotation(client: Any, arn: str, period: timedelta, *, apply: bool) -> str:
    """Have the key rotate by itself, at least that often. Needs ``kms:EnableKeyRotation``.

    :param client: a boto3 KMS client of the key's region. :param apply: False only says what is so.
    :returns: a sentence: how it is now.
    :raises KeyUnavailableError: it is not usable, or cannot rotate, or may not be set by us.
    """
    status = kms_key_status(client, arn)
    if status.state != "usable":
        raise KeyUnavailableError(
            f"key {arn} is {status.state} and does not rotate",
            hint="enable it, or stop its deletion: what it wrapped cannot be read meanwhile",
        )
    if status.rotates and status.period is not None and status.period <= period:
        return f"key {arn} rotates every {status.period.days} days{_next(status)}"
    now = f"every {status.period.days} days" if status.rotates and status.period else "never"
    if not apply:
        raise KeyUnavailableError(
            f"key {arn} rotates {now}; every {period.days} days were agreed",
            hint="`python -m backstop rotate-keys` sets it",
        )
    _call(
        lambda: client.enable_key_rotation(KeyId=arn, RotationPeriodInDays=period.days),
        arn,
        "kms:EnableKeyRotation",
    )
    return f"key {arn} rotates every {period.days} days from now on; before: {now}"


def rotate_at_once(client: Any, arn: str) -> str:
    """New material now, besides. Needs ``kms:RotateKeyOnDemand``; KMS allows ten for each key.

    :returns: a sentence. :raises KeyUnavailableError: KMS refuses.
    """
    _call(lambda: client.rotate_key_on_demand(KeyId=arn), arn, "kms:RotateKeyOnDemand")
    return f"key {arn} has been given new material, which wraps from now on"


def _next(status: KmsKeyStatus) -> str:
    at = status.next_rotation_at
    return f", next on {at:%Y-%m-%d}" if at is not None else ""


def _call(call: Callable[[], Any], arn: str, permission: str) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        call()
    except ClientError as error:
        raise refused_by_kms(error, arn, permission) from error
    except BotoCoreError as error:
        raise silent_kms(error, arn) from error
