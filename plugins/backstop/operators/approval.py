"""A second person's consent to a restore, bound to exactly the plan they were shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from backstop.errors import BackstopError, RestoreError
from backstop.model.access import AccessRole
from backstop.model.canonical import canonical_json, format_time, parse_time, sha256_hex
from backstop.model.decision import Answer
from backstop.operators.base import TakesResults, explained
from backstop.operators.decisions import record_decision, record_refusal
from backstop.operators.people import requester, require_requester, responder, same_person
from backstop.operators.wording import statements, subject

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context

    from backstop.targets.database import Consent, Database

NOT_REQUIRED = "not required by policy"
LEAVES_LIVE_ALONE = ("beside", "elsewhere", "dry run")
"""Modes of restores that replace nothing."""
RESTORE_TAKES = timedelta(hours=24)
"""How long a restore may take from its beginning to its swap before somebody must be asked again."""


def plan_digest(plan: Mapping[str, Any]) -> str:
    """What an approval names, so that it cannot be used for another plan."""
    return sha256_hex(canonical_json(dict(plan)))


def approval_needed(rules: Consent, *, mode: str) -> bool:
    """Whether policy wants a person's consent: before anything live is replaced, never for a copy beside."""
    return rules.approval and mode not in LEAVES_LIVE_ALONE


def require_approval(
    plan: Mapping[str, Any],
    approval: Any,
    *,
    rules: Consent,
    now: datetime,
    begins: bool = False,
    swapping: bool = False,
) -> None:
    """Refuse to go on unless exactly this plan was approved of late, or policy asked for no approval.

    A task can be marked as successful by hand, and the run goes on behind it: then there is nothing in its
    result, and this is where that ends.

    An approval holds for ``restore.approval_timeout``: within it the restore must begin, and a swap back be
    done. What follows the beginning of a restore has :data:`RESTORE_TAKES` more. Without an end, whoever may
    clear a task could replace the live database by an old state weeks later.

    :param begins: nothing has been done on this approval yet.
    :param swapping: the live database is about to be replaced; leave to make a copy beside is not enough.
    :raises RestoreError: there is no approval, it belongs to another plan, or it is too old.
    """
    given = approval if isinstance(approval, Mapping) else {}
    if swapping and given.get("mode") in LEAVES_LIVE_ALONE:
        raise RestoreError(
            f"only a copy beside the live database was asked for; {plan['database']} was not touched",
            hint="trigger a restore that swaps, and have it approved",
        )
    approved_at = given.get("approved_at")
    if given.get("plan_sha256") != plan_digest(plan) or not isinstance(approved_at, str):
        raise RestoreError(
            f"nobody approved this plan for {plan['target']}; nothing was touched",
            hint="clear the approval task and have a second person answer it",
        )
    at_once = begins or given.get("mode") == "swap_back"
    holds = rules.approval_timeout + (timedelta(0) if at_once else RESTORE_TAKES)
    if now - parse_time(approved_at) > holds:
        raise RestoreError(
            f"the approval of this plan for {plan['target']} is of {approved_at} and held for {holds}; "
            "nothing was touched",
            hint="trigger a new run and have that one approved",
        )


class ApproveRestoreOperator(TakesResults, ApprovalOperator):  # type: ignore[misc]
    """Show the plan and wait for consent, as the target's policy asks before anything live is replaced.

    Unanswered, rejected, or answered by whoever asked: the task fails, and with it the run. Never retried,
    because a retry would ask again.

    :param plan: the result of :class:`~backstop.operators.restore.PlanRestoreOperator`.
    :param choice: the result of :class:`~backstop.operators.choice.ChooseBackupOperator`.
    """

    template_fields = ("plan", "choice")
    results = ("plan", "choice")
    REPLACES = "database"
    ASKED_FOR = "restore"
    NOBODY = "Somebody"
    REFUSAL: type[BackstopError] = RestoreError

    def __init__(self, *, plan: Any, choice: Any, **kwargs: Any) -> None:
        kwargs["retries"] = 0
        super().__init__(subject=f"Approve: {self.ASKED_FOR}", **kwargs)
        self.plan = plan
        self.choice = choice

    def execute(self, context: Context) -> dict[str, str]:
        from backstop.settings.arguments import utc_now

        with explained():
            rules = self.rules()
            if not self.needed(rules):
                self.log.info("The policy of %s asks for no approval here", self.plan["target"])
                record_decision(context, Answer.NOT_REQUIRED, **self._about())
                return self._approval(NOT_REQUIRED)
            asked_by = self.asked_by(context, rules)
        self.subject, told = self.words(utc_now())
        self.body = "\n".join(
            [
                f"**{asked_by or self.NOBODY}** asks for this.",
                "",
                *told,
                "",
                "Rejected or unanswered, nothing is touched."
                + (f" **{asked_by}** cannot approve it." if rules.four_eyes and asked_by else ""),
            ]
        )
        self.response_timeout = rules.approval_timeout
        super().execute(context)
        raise AssertionError("a form was shown and nobody waits for it")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, str]:
        with explained():
            try:
                answered_by = self._approver(context, event)
            except BackstopError as error:
                record_refusal(context, event, error, consent=self.APPROVE, **self._about())
                raise
            record_decision(context, Answer.APPROVED, answered_by=answered_by, **self._about())
        self.log.info("%s approved", answered_by)
        return self._approval(answered_by)

    def _approver(self, context: Context, event: dict[str, Any]) -> str:
        """:raises BackstopError: nobody who may has approved."""
        untouched = self.untouched()
        # Read again: policy may have been tightened while we waited.
        rules = self.rules()
        if "error" in event:
            raise self.REFUSAL(
                f"nobody answered within {rules.approval_timeout}; {untouched}",
                hint="tell an approver, trigger it again; "
                f"{self.ASKED_FOR}.approval_timeout says how long to wait",
            )
        answered_by = responder(event)
        if not answered_by:
            raise self.REFUSAL(f"the answer has no name to it; {untouched}", hint="log in and answer again")
        if event.get("chosen_options") != [self.APPROVE]:
            raise self.REFUSAL(
                f"{answered_by} rejected the {self.ASKED_FOR}; {untouched}",
                hint=f"ask {answered_by} why, and trigger it again once that is settled",
            )
        if rules.four_eyes:
            # Whoever filled in the form has asked for it as much as whoever triggered the run.
            asked = {self.asked_by(context, rules), self.choice.get("chosen_by") or ""}
            if any(same_person(answered_by, name) for name in asked):
                raise self.REFUSAL(
                    f"{answered_by} asked for this {self.ASKED_FOR} and cannot approve it too; {untouched}",
                    hint="trigger it again and have somebody else answer",
                )
        return answered_by

    def _about(self) -> dict[str, Any]:
        """What was asked, for the record."""
        from backstop.settings.arguments import utc_now

        return {
            "target": self.plan["target"],
            "procedure": self.ASKED_FOR,
            "question": self.words(utc_now())[0],
            "plan_sha256": plan_digest(self.plan),
            "log": self.log,
        }

    def _approval(self, by: str) -> dict[str, str]:
        from backstop.settings.arguments import utc_now

        return {
            "approved_by": by,
            "approved_at": format_time(utc_now()),
            "mode": self.choice["mode"],
            "plan_sha256": plan_digest(self.plan),
        }

    def needed(self, rules: Consent) -> bool:
        """Whether policy wants a person's consent to this plan."""
        return approval_needed(rules, mode=self.choice["mode"])

    def asked_by(self, context: Context, rules: Consent) -> str:
        """Who must not answer, where four eyes are asked for.

        :raises ConfigurationError: somebody has to be told apart, and Airflow does not know from whom.
        """
        return require_requester(context) if rules.four_eyes else requester(context)

    def untouched(self) -> str:
        """A clause that says what did not happen."""
        return f"the live {self.REPLACES} of {self.plan['target']} was not touched"

    def rules(self) -> Consent:
        """The target's policy as it is now."""
        return self._database().restore

    def words(self, now: datetime) -> tuple[str, list[str]]:
        """The form's headline and its lines of Markdown."""
        mode = self.choice["mode"]
        stops = bool(self._database().application.stop)
        return subject(self.plan, mode), statements(self.plan, mode, now, stops_application=stops)

    def _database(self) -> Database:
        from backstop.hooks.target import TargetHook

        return TargetHook(self.plan["target"], AccessRole.RESTORER).target.database
