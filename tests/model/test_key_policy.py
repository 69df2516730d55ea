"""The policy of a KMS key: who backs up opens the lists that the next backup is compared with, no more."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from backstop.crypto.envelope import object_context
from backstop.model.key_policy import CHECK_PURPOSE, key_policy

LABEL = "20261124T010000Z-tree"
WRITER, RESTORER = "arn:aws:iam::123456789012:role/writer", "arn:aws:iam::123456789012:role/restorer"
AUDITOR, PREPARER = "arn:aws:iam::123456789012:role/auditor", "arn:aws:iam::123456789012:role/preparer"
POLICY = key_policy(
    account="123456789012",
    targets=["calibrify"],
    encrypt=[WRITER],
    decrypt=[RESTORER],
    inspect=[AUDITOR],
    administer=[PREPARER],
    owners=[],
)


def opens(who: str, context: dict[str, str]) -> bool:
    """Whether a statement lets this principal decrypt what is bound to that context."""
    return any(
        one["Effect"] == "Allow"
        and who in one["Principal"]["AWS"]
        and "kms:Decrypt" in one["Action"]
        and all(
            any(matches(context.get(name.rpartition(":")[2], ""), wanted) for wanted in values)
            for operator, matches in (("StringEquals", str.__eq__), ("StringLike", fnmatchcase))
            for name, values in listed(one.get("Condition", {}).get(operator, {}))
        )
        for one in POLICY["Statement"]
    )


def listed(condition: dict) -> list[tuple[str, list[str]]]:
    return [(name, [value] if isinstance(value, str) else value) for name, value in condition.items()]


def bound(path: str, target: str = "calibrify") -> dict[str, str]:
    return object_context(target, LABEL, f"{target}/data/{path}")


@pytest.mark.parametrize(
    "path",
    [
        f"trees/media/{LABEL}/a1/files",
        f"trees/media/{LABEL}/a1/packs/l1",
        "database/20261124T010000Z-full/a1/backup_manifest",
    ],
)
def test_who_backs_up_opens_what_the_next_backup_is_compared_with(path):
    assert opens(WRITER, bound(path))
    assert not opens(WRITER, bound(path, target="other"))


@pytest.mark.parametrize(
    "path",
    [
        f"trees/media/{LABEL}/a1/packs/1",
        "database/20261124T010000Z-dump/a1/globals",
        "database/20261124T010000Z-full/a1/base.tar.000",
    ],
)
def test_who_backs_up_opens_no_other_payload_and_who_restores_does(path):
    assert not opens(WRITER, bound(path))
    assert opens(RESTORER, bound(path))
    assert not opens(RESTORER, bound(path, target="other"))


def test_who_backs_up_opens_no_wal():
    wal = {"target": "calibrify", "system_id": "7", "timeline": "1", "segment": "000000010000000000000001"}
    assert not opens(WRITER, wal)
    assert opens(RESTORER, wal)


def test_who_backs_up_may_see_before_an_incremental_one_that_the_key_opens_for_them():
    assert opens(WRITER, {"purpose": CHECK_PURPOSE})


def test_who_watches_the_key_looks_at_it_and_has_nothing_rotated():
    allowed = {
        who: {
            action
            for one in POLICY["Statement"]
            if one["Effect"] == "Allow" and who in one["Principal"]["AWS"]
            for action in one["Action"]
        }
        for who in (AUDITOR, PREPARER)
    }

    assert allowed[AUDITOR] == {"kms:DescribeKey", "kms:GetKeyRotationStatus"}
    assert "kms:RotateKeyOnDemand" in allowed[PREPARER]
