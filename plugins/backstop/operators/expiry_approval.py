"""Somebody's consent to an expiry that would remove much, bound to exactly the plan they were shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import ExpiryRefusedError
from backstop.model.access import AccessRole
from backstop.operators.approval import ApproveRestoreOperator
from backstop.operators.expiry import planned
from backstop.operators.expiry_wording import expiry_statements, expiry_subject
from backstop.operators.people import requester

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow.sdk import Context

    from backstop.targets.database import Consent
    from backstop.targets.expiry import Expiry


def much_goes(plan: Mapping[str, Any], rules: Expiry) -> bool:
    """Whether more than the set share of any kind of backup in any repository would go, or of its bytes."""
    return any(
        max(one["share_of_backups"], one["share_of_bytes"]) > rules.approve_above
        for one in plan["repositories"].values()
    )


class ApproveExpiryOperator(ApproveRestoreOperator):
    """Show a plan that would remove much and wait for consent; anything less needs none.

    :param plan: the result of :class:`~backstop.operators.expiry.ShowExpiryOperator`; ``choice`` is the same.
    """

    ASKED_FOR = "expiry"
    NOBODY = "The schedule"
    REFUSAL = ExpiryRefusedError

    def needed(self, rules: Consent) -> bool:
        # Accepting a drop lets go what was held up on purpose: that is never small.
        return rules.approval and (bool(self.plan["accept"]) or much_goes(self.plan, self.rules()))

    def asked_by(self, context: Context, rules: Consent) -> str:
        run_type = getattr(context["dag_run"], "run_type", "")
        if str(getattr(run_type, "value", run_type)) == "scheduled":
            return requester(context)  # nobody asked: whoever approves is the first to look
        return super().asked_by(context, rules)

    def untouched(self) -> str:
        return f"no backup of {self.plan['target']} was removed"

    def rules(self) -> Expiry:
        from backstop.hooks.target import TargetHook

        return TargetHook(planned(self.plan)["target"], AccessRole.EXPIRER).target.expiry

    def words(self, now: datetime) -> tuple[str, list[str]]:
        return expiry_subject(self.plan), expiry_statements(self.plan)
