"""Write include/aws/policies/: what the roles, the bucket and the key may, from the one list of grants.

``python scripts/write_policies.py``; ``${…}`` is filled in by Terraform's ``templatefile``, or ``envsubst``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "plugins"))

from backstop.model.access import AccessRole  # noqa: E402
from backstop.model.access_policy import Place, bucket_policy, role_policy  # noqa: E402
from backstop.model.key_policy import key_policy  # noqa: E402

FOLDER = CHECKOUT / "include" / "aws" / "policies"
_PREFIX = "PREFIX-OF-THE-REPOSITORY"
PLACE = Place("${bucket}", prefix=_PREFIX, targets=("*",), partition="${partition}")


def arn(role: str) -> str:
    return f"arn:${{partition}}:iam::${{account}}:role/${{name}}-{role}"


def policies() -> dict[str, dict[str, Any]]:
    """By file name."""
    made = {f"{role.value}.json": role_policy(role, PLACE) for role in AccessRole}
    made["bucket.json"] = bucket_policy(
        PLACE,
        expirers=[arn("expirer"), arn("healer")],
        preparers=[arn("preparer"), "${administrator}"],
    )
    made["key.json"] = key_policy(
        account="${account}",
        targets=["${target}"],
        encrypt=[arn("writer")],
        decrypt=[arn("restorer"), arn("verifier"), arn("healer")],
        inspect=[arn("auditor")],
        administer=[arn("preparer")],
        owners=["${administrator}"],
        partition="${partition}",
    )
    return made


def text_of(policy: dict[str, Any]) -> str:
    # `prefix` ends in a slash, or is empty.
    return json.dumps(policy, indent=2).replace(f"{_PREFIX}/", "${prefix}") + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, policy in policies().items():
        (FOLDER / name).write_text(text_of(policy), encoding="utf-8")
