"""A step that goes on only with a consent that still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import RestoreError
from backstop.operators.approval import require_approval
from backstop.operators.base import BackstopOperator

if TYPE_CHECKING:
    from datetime import datetime

    from backstop.targets.database import Consent


class ApprovedOperator(BackstopOperator):
    """A step of a restore that somebody planned and, where policy asks for it, approved.

    :cvar begins: the first step behind the approval, which must follow it soon.
    :cvar swapping: leave to make a copy beside is not enough for this step.
    :param plan: the result of ``PlanRestoreOperator`` or of ``PlanSwapBackOperator``.
    :param approval: the result of :class:`~backstop.operators.approval.ApproveRestoreOperator`.
    :param swapped: the result of this run's swap; once there is one, its approval is used up.
    """

    template_fields: tuple[str, ...] = ("target", "plan", "approval", "swapped")
    results: tuple[str, ...] = ("plan", "approval", "swapped")
    begins = False
    swapping = False

    def __init__(
        self, *, target: str, plan: Any, approval: Any, swapped: Any = "null", **kwargs: Any
    ) -> None:
        super().__init__(target=target, **kwargs)
        self.plan = plan
        self.approval = approval
        self.swapped = swapped

    def require_consent(self, rules: Consent, now: datetime) -> None:
        """:raises RestoreError: exactly this plan was never approved, too long ago, or was carried out."""
        require_approval(
            self.plan, self.approval, rules=rules, now=now, begins=self.begins, swapping=self.swapping
        )
        if self.swapped:
            raise RestoreError(
                f"this run has swapped {self.plan['database']} already, and its approval is used up; "
                "nothing was touched",
                hint="trigger a new run and have that one approved",
            )
