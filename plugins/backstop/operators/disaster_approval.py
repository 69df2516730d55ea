"""A second person's choice of how a disaster is recovered from, bound to the assessment they were shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import TaskAwaitingInput

from backstop.errors import BackstopError, ConfigurationError, RestoreError
from backstop.model.access import AccessRole
from backstop.model.canonical import format_time
from backstop.model.decision import Answer
from backstop.operators.approval import NOT_REQUIRED
from backstop.operators.base import TakesResults, explained
from backstop.operators.decisions import record_decision, record_refusal
from backstop.operators.disaster_telling import open_incident, who
from backstop.operators.disaster_wording import assessment_lines, option_label
from backstop.operators.people import requester, require_requester, responder, same_person

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from backstop.commands.disaster.engine import Disaster
    from backstop.targets.disaster import Disaster as Rules

UNTOUCHED = "nothing was touched, and the incident stays open"


class ChooseRecoveryOperator(TakesResults, HITLOperator):  # type: ignore[misc]
    """Show what is lost and which ways back there are, and wait until somebody has chosen one.

    The answer is the approval too: whoever asked cannot give it, unless policy lets one person go on alone
    and they say why. Unanswered, cancelled or refused, the task fails and nothing was touched; the incident
    stays open. Waiting is in its journal as what it is. Never retried, because a retry would ask again.

    :param target: a name of targets.yaml. :param incident: the result of ``DeclareDisasterOperator``.
    """

    template_fields = ("target", "incident")
    results = ("incident",)
    GO_ON = "Recover"
    CANCEL = "Cancel"

    def __init__(self, *, target: str, incident: Any, **kwargs: Any) -> None:
        kwargs["retries"] = 0
        super().__init__(subject="Approve: recovery", options=[self.GO_ON, self.CANCEL], **kwargs)
        self.target = target
        self.incident = incident

    def execute(self, context: Context) -> dict[str, Any]:
        from backstop.settings.arguments import utc_now

        with explained():
            rules = self._rules()
            disaster = self._disaster(context, who(context))
            assessment = _assessed(disaster)
            if not assessment["lost"]:
                # Nobody is woken for a form that cannot be answered.
                raise RestoreError(
                    f"nothing of {self.target} is known to be lost; {UNTOUCHED}",
                    hint="see in the log of `assess` what could not be looked at; close the incident "
                    "(`python -m backstop recover-from-disaster --close`), then trigger it again and name "
                    "what is lost under Suspected",
                )
            if not rules.approval:
                if not assessment["recommended"]:
                    raise RestoreError(
                        f"nothing brings {self.target} back: there is no option to choose from",
                        hint="see what the assessment says of the repositories, and clear `assess`",
                    )
                plan = self._chosen(disaster, assessment["recommended"], by=NOT_REQUIRED)
                record_decision(context, Answer.NOT_REQUIRED, **self._about(plan))
                return plan
            asked_by = require_requester(context) if rules.four_eyes else requester(context)
            offered = [option for option in assessment["options"] if option["parts"]]
            if not offered:
                raise RestoreError(
                    f"nothing brings {self.target} back: there is no option to choose from",
                    hint="see what the assessment says of the repositories, mend one, and clear `assess`",
                )
            disaster.wait_began(f"a choice and its approval, asked for by {asked_by or 'somebody'}")
        self.subject = f"Recover {self.target}: which way?"
        self.body = "\n".join(self._body(assessment, rules, asked_by, utc_now()))
        self.params = self._form(assessment, offered, rules)
        self.response_timeout = rules.approval_timeout
        try:
            super().execute(context)
        except TaskAwaitingInput as waiting:
            # Airflow resumes with a fresh operator: what was offered travels with the task.
            raise TaskAwaitingInput(
                method_name=waiting.method_name,
                timeout=waiting.timeout,
                kwargs={
                    "offered": [option["id"] for option in offered],
                    "assessed_at": assessment["assessed_at"],
                },
            ) from None
        raise AssertionError("a form was shown and nobody waits for it")

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any],
        offered: list[str] | None = None,
        assessed_at: str = "",
    ) -> dict[str, Any]:
        with explained():
            try:
                plan = self._answered(context, event, offered or [], assessed_at)
            except BackstopError as error:
                record_refusal(context, event, error, consent=self.GO_ON, **self._about())
                raise
            record_decision(
                context,
                Answer.APPROVED,
                answered_by=plan["approved_by"],
                because=plan["alone_because"],
                **self._about(plan),
            )
            return plan

    def _answered(
        self, context: Context, event: dict[str, Any], offered: list[str], assessed_at: str
    ) -> dict[str, Any]:
        """:raises BackstopError: this answer lets nothing go on."""
        # Read again: policy may have been tightened while we waited.
        rules = self._rules()
        by = responder(event)
        disaster = self._disaster(context, by or who(context))
        disaster.wait_ended(by or "nobody")
        answer = event.get("params_input") or {}
        alone = self._require_leave(context, event, rules, by, str(answer.get("alone_because") or ""))
        option = answer.get("option")
        if not isinstance(option, str) or option not in offered:
            raise ConfigurationError(
                f"option {option!r} is not possible", hint=f"choose one of: {', '.join(offered)}"
            )
        if _assessed(disaster)["assessed_at"] != assessed_at:
            raise RestoreError(
                f"{self.target} was assessed anew while the form was open; {UNTOUCHED}",
                hint="clear this task: it shows what is known now",
            )
        return self._chosen(disaster, option, by=by, alone_because=alone)

    def _about(self, plan: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What was asked, for the record."""
        way = f" by {plan['option']}" if plan else ""
        return {
            "target": self.target,
            "procedure": "recovery",
            "question": f"Recover {self.target}{way}?",
            "plan_sha256": plan["plan_sha256"] if plan else "",
            "log": self.log,
        }

    def _require_leave(
        self, context: Context, event: Mapping[str, Any], rules: Rules, by: str, because: str
    ) -> str:
        """:returns: why one person goes on alone; empty: there are two.

        :raises RestoreError: this answer lets nothing go on.
        """
        if "error" in event:
            raise RestoreError(
                f"nobody answered within {rules.approval_timeout}; {UNTOUCHED}",
                hint="tell an approver, then clear this task; "
                "disaster.approval_timeout says how long to wait",
            )
        if not by:
            raise RestoreError(
                f"the answer has no name to it; {UNTOUCHED}", hint="log in, clear this task and answer again"
            )
        if event.get("chosen_options") != [self.GO_ON]:
            raise RestoreError(
                f"{by} cancelled the recovery; {UNTOUCHED}",
                hint="clear this task to be asked again, or close the incident: "
                f"`python -m backstop recover-from-disaster --target {self.target} --close`",
            )
        if not rules.four_eyes or not same_person(by, require_requester(context)):
            return ""
        if not rules.break_glass:
            raise RestoreError(
                f"{by} asked for this recovery and cannot approve it too; {UNTOUCHED}",
                hint="clear this task and have somebody else answer; with nobody else there: "
                f"`python -m backstop recover-from-disaster --target {self.target}`",
            )
        if not because.strip():
            raise RestoreError(
                f"{by} asked for this recovery, and did not say why they go on alone; {UNTOUCHED}",
                hint="clear this task and have somebody else answer, or fill in why you are alone",
            )
        return because.strip()

    def _chosen(self, disaster: Disaster, option: str, *, by: str, alone_because: str = "") -> dict[str, Any]:
        from backstop.settings.arguments import utc_now

        broke = f"{by} went on alone (break glass): {alone_because}" if alone_because else ""
        if broke:
            self.log.warning("%s", broke)
            disaster.note(by, broke)
        plan = disaster.choose(option, by=by, because=broke)
        self.log.info("%s chose %s: %s", by, option, plan["title"])
        return {
            "incident_id": disaster.incident_id,
            "option": option,
            "order": list(plan["order"]),
            "plan_sha256": plan["plan_sha256"],
            "approved_by": by,
            "approved_at": format_time(utc_now()),
            "alone_because": alone_because,
        }

    def _body(self, assessment: Mapping[str, Any], rules: Rules, asked_by: str, now: Any) -> list[str]:
        alone = ""
        if rules.four_eyes and asked_by:
            alone = f" **{asked_by}** cannot answer it" + (
                " without saying why they are alone; that is recorded, and told."
                if rules.break_glass
                else "."
            )
        return [
            f"**{asked_by or 'Somebody'}** asks for this.",
            "",
            *assessment_lines(assessment, now),
            "",
            "Each component is restored beside what is live and validated before it takes its place. "
            f"Cancelled or unanswered, nothing is touched.{alone}",
        ]

    def _form(self, assessment: Mapping[str, Any], offered: list[dict[str, Any]], rules: Rules) -> ParamsDict:
        ids = [option["id"] for option in offered]
        recommended = assessment["recommended"]
        fields: dict[str, Any] = {
            "option": Param(
                recommended if recommended in ids else ids[0],
                "What was written after the moment it leads to is not in it.",
                title="Way back",
                type="string",
                enum=ids,
                values_display={option["id"]: option_label(option) for option in offered},
            )
        }
        if rules.four_eyes and rules.break_glass:
            fields["alone_because"] = Param(
                "",
                "Only for whoever asked, and only when nobody else can be reached: why. It is recorded, and "
                "told.",
                title="Alone, because",
                type=["string", "null"],
            )
        return ParamsDict(fields)

    def _rules(self) -> Rules:
        from backstop.hooks.target import TargetHook

        return TargetHook(self.target, AccessRole.RESTORER).target.disaster

    def _disaster(self, context: Context, by: str) -> Disaster:
        return open_incident(self.target, self.incident, context, by=by)


def _assessed(disaster: Disaster) -> Mapping[str, Any]:
    if not disaster.assessment:
        raise RestoreError(
            f"{disaster.incident_id} of {disaster.target} was not assessed; {UNTOUCHED}",
            hint="clear the task `assess`",
        )
    return disaster.assessment
