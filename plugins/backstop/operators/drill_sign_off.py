"""Somebody looks at what came of a drill, and says so under their name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowSkipException

from backstop.errors import DrillFailedError
from backstop.model.access import AccessRole
from backstop.model.canonical import format_time
from backstop.notifications.runs import task_failed
from backstop.operators.base import TakesResults, explained
from backstop.operators.drill_verdict import drill_again, recorded_from
from backstop.operators.drill_wording import answered_note, drill_statements, drill_subject, verdict
from backstop.operators.links import DRILL_LINKS, drill_page
from backstop.operators.note import NOTE
from backstop.operators.people import responder

if TYPE_CHECKING:
    from airflow.sdk import Context

    from backstop.model.drill import SignOff
    from backstop.targets.drill import DrillSignOff

REMARKS_LIMIT = 4000


class SignOffDrillOperator(TakesResults, HITLOperator):  # type: ignore[misc]
    """Show the results and the checklist, take remarks, and put the answer into evidence and inventory.

    Waits for ``drill.sign_off.within``; unanswered or to be done again, the task fails, and with it the run.
    Skipped where the target requires none. Never retried, because a retry would ask again.

    :param target: a name of targets.yaml.
    :param record: the result of :class:`~backstop.operators.drill.RecordDrillOperator`.
    """

    template_fields = ("target", "record")
    results = ("record",)
    operator_extra_links = DRILL_LINKS
    drill_id: str | None = None
    ACCEPT = "Accepted"
    REDO = "Do it again"

    def __init__(self, *, target: str, record: Any, **kwargs: Any) -> None:
        kwargs["retries"] = 0
        # Unlike a refused restore, a drill that nobody closes is something to be told of.
        kwargs.setdefault("on_failure_callback", task_failed)
        super().__init__(subject="Sign a drill off", options=[self.ACCEPT, self.REDO], **kwargs)
        self.target = target
        self.record = record

    def execute(self, context: Context) -> None:
        with explained():
            record = recorded_from(self.record, self.target)
            rules = self._rules()
        self.drill_id = record.drill_id
        if not rules.required:
            raise AirflowSkipException(f"{self.target} requires no sign-off (drill.sign_off.required)")
        self.subject = drill_subject(record)
        self.body = "\n".join(drill_statements(record, drill_page(self.target, record.drill_id)))
        self.params = ParamsDict(
            {
                "remarks": Param(
                    "",
                    "What should be known of it later: kept with the evidence.",
                    title="Remarks",
                    type=["string", "null"],
                    format="multiline",
                    maxLength=REMARKS_LIMIT,
                )
            }
        )
        self.response_timeout = rules.within
        super().execute(context)
        raise AssertionError("a form was shown and nobody waits for it")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        from backstop.settings.arguments import utc_now

        with explained():
            record = recorded_from(self.record, self.target)
            self.drill_id = record.drill_id
            if "error" in event:
                within = self._rules().within
                raise DrillFailedError(
                    f"nobody signed drill {record.drill_id} of {self.target} off within {within}; "
                    "its record is there all the same",
                    hint="look at it, then `python -m backstop sign-off-drill`, or drill again; "
                    "drill.sign_off.within says how long to wait",
                )
            sign_off = self._answer(event, record.drill_id)
            self._keep(record.drill_id, sign_off)
            now = utc_now()
            note = answered_note(record, by=sign_off.by, accepted=sign_off.accepted, now=now)
            context["ti"].xcom_push(key=NOTE, value=note)
            if not sign_off.accepted:
                raise DrillFailedError(
                    f"{sign_off.by} wants drill {record.drill_id} of {self.target} done again"
                    + (f": {sign_off.remarks}" if sign_off.remarks else ""),
                    hint=drill_again(record),
                )
        self.log.info("%s accepted drill %s, which %s", sign_off.by, record.drill_id, verdict(record))
        return {"by": sign_off.by, "at": format_time(sign_off.at), "accepted": True}

    def _answer(self, event: dict[str, Any], drill_id: str) -> SignOff:
        """Airflow checks nothing of what answers a form over its API."""
        from backstop.model.drill import SignOff
        from backstop.settings.arguments import utc_now

        by = responder(event)
        if not by:
            raise DrillFailedError(
                f"the answer to drill {drill_id} has no name to it", hint="log in, and clear `sign_off`"
            )
        chosen = event.get("chosen_options")
        if chosen not in ([self.ACCEPT], [self.REDO]):
            raise DrillFailedError(
                f"{by} answered {chosen!r} to drill {drill_id}",
                hint=f"clear `sign_off` and answer {self.ACCEPT!r} or {self.REDO!r}",
            )
        remarks = (event.get("params_input") or {}).get("remarks") or ""
        if not isinstance(remarks, str) or len(remarks) > REMARKS_LIMIT:
            raise DrillFailedError(
                f"the remarks of {by} on drill {drill_id} are no text of at most {REMARKS_LIMIT} characters",
                hint="clear `sign_off` and answer again",
            )
        return SignOff(by=by, at=utc_now(), accepted=chosen == [self.ACCEPT], remarks=remarks.strip())

    def _keep(self, drill_id: str, sign_off: SignOff) -> None:
        from backstop.hooks.target import TargetHook

        for sentence in TargetHook(self.target, AccessRole.VERIFIER).sign_off_drill(drill_id, sign_off):
            self.log.warning("%s", sentence)

    def _rules(self) -> DrillSignOff:
        from backstop.hooks.target import TargetHook

        return TargetHook(self.target, AccessRole.VERIFIER).target.drill.sign_off
