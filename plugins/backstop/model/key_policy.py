"""What each role may do with a key of AWS KMS, in AWS' policy language. Pure.

A data key is wrapped together with its encryption context, and KMS opens it only for a caller that names the
same: the policy lets nobody open what belongs to another target
(https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.model.access_policy import NARROW, VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHECK_PURPOSE = "backstop key check"
"""The context of a throw-away data key that shows, before a backup, that the key works."""
_ENCRYPT = ("kms:GenerateDataKey", "kms:Encrypt")
_DECRYPT = ("kms:Decrypt",)
_LISTS = tuple(pattern.removeprefix("data/") for pattern in NARROW)
"""As the encryption context has them (``object``)."""
_LOOK = ("kms:DescribeKey", "kms:GetKeyRotationStatus")
_ADMINISTER = (*_LOOK, "kms:EnableKeyRotation", "kms:RotateKeyOnDemand", "kms:ListKeyRotations")
_END = ("kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:PutKeyPolicy", "kms:DeleteImportedKeyMaterial")


def key_policy(
    *,
    account: str,
    targets: Sequence[str],
    encrypt: Sequence[str],
    decrypt: Sequence[str],
    inspect: Sequence[str],
    administer: Sequence[str],
    owners: Sequence[str],
    partition: str = "aws",
) -> dict[str, Any]:
    """The policy of the key itself.

    :param account: twelve digits: its administrators reach the key through IAM, else nobody could mend this.
    :param targets: whose backups the key protects.
    :param encrypt: ARNs of who backs up. :param decrypt: of who restores and verifies.
    :param inspect: of who watches the key, and can do nothing with it.
    :param administer: of who has it rotated.
    :param owners: patterns of ARNs of those few who may end the key, or change this policy.
    """
    of_targets = {"StringEquals": {"kms:EncryptionContext:target": list(targets)}}
    lists = {**of_targets, "StringLike": {"kms:EncryptionContext:object": list(_LISTS)}}
    checks = {"StringEquals": {"kms:EncryptionContext:purpose": CHECK_PURPOSE}}
    return {
        "Version": VERSION,
        "Statement": [
            _allow("Account", [f"arn:{partition}:iam::{account}:root"], ("kms:*",)),
            {
                "Sid": "OwnersAloneEndIt",
                "Effect": "Deny",
                "Principal": "*",
                "Action": list(_END),
                "Resource": "*",
                "Condition": {"StringNotLike": {"aws:PrincipalArn": list(owners)}},
            },
            _allow("Encrypt", encrypt, _ENCRYPT, of_targets),
            # Without it each backup of a tree would read and store all of it anew.
            _allow("OpenLists", encrypt, _DECRYPT, lists),
            _allow("Decrypt", decrypt, _DECRYPT, of_targets),
            # Before an incremental base backup, who backs up sees that the list of its parent will open.
            _allow("Check", [*encrypt, *decrypt], ("kms:GenerateDataKey", *_DECRYPT), checks),
            _allow("Look", [*encrypt, *decrypt, *inspect], _LOOK),
            _allow("Administer", administer, _ADMINISTER),
        ],
    }


def _allow(
    sid: str,
    principals: Sequence[str],
    actions: Sequence[str],
    condition: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    allowed = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": list(principals)},
        "Action": list(actions),
        "Resource": "*",
    }
    return {**allowed, "Condition": dict(condition)} if condition else allowed
