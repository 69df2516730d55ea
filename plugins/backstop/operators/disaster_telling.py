"""Tell those who wait, beside the recovery: whoever cannot be told makes a task red and stops nothing."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timezone
from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk.exceptions import AirflowException

from backstop.errors import RestoreError
from backstop.model.access import AccessRole
from backstop.model.canonical import parse_time
from backstop.operators.base import BackstopOperator, explained
from backstop.operators.people import requester
from backstop.triggers.recovery_end import RecoveryEndTrigger, ended, states_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import Context

    from backstop.commands.disaster.engine import Disaster
    from backstop.commands.disaster.telling import Communication
    from backstop.commands.progress import Progress

TELL_PROGRESS = "tell_progress"
RECOVERY = ("list_components", "infrastructure", "recover", "validate")
"""Tasks whose end is the end of what there is to tell."""


class OfAnIncident(Protocol):
    """An operator that opens one."""

    target: str

    def disaster(self, context: Context) -> Disaster: ...


def communication_of(target: str, context: Context) -> Communication:
    """The status page and Airflow's notifiers."""
    from backstop.hooks.target import TargetHook
    from backstop.notifications.stakeholders import stakeholders_of

    hook = TargetHook(target, AccessRole.RESTORER)
    return hook.communication(more=stakeholders_of(hook.target, target, context))


@contextmanager
def told_meanwhile(operator: OfAnIncident, context: Context) -> Iterator[Disaster]:
    """A step that may take long. Those who wait are told by ``tell_progress``; where that has ended, because
    the step was cleared later, by a thread beside the step."""
    from backstop.commands.disaster.reporting import reporting
    from backstop.hooks.target import TargetHook
    from backstop.settings.arguments import utc_now

    disaster = operator.disaster(context)
    if not _progress_has_ended(context):
        yield disaster
        return
    with reporting(
        lambda: operator.disaster(context),
        communication_of(operator.target, context),
        every=TargetHook(operator.target, AccessRole.RESTORER).target.disaster.progress_every,
        clock=utc_now,
    ):
        yield disaster


def _progress_has_ended(context: Context) -> bool:
    ti = context["ti"]
    return ended(states_of(ti.dag_id, ti.run_id, [TELL_PROGRESS]))


class TellOperator(BackstopOperator):
    """Tell everybody of the start or the end. Tried again, it tells those who have not been told.

    :param incident: the result of ``DeclareDisasterOperator``. :param moment: ``start`` or ``end``.
    """

    template_fields = ("target", "incident")
    results = ("incident",)

    def __init__(self, *, target: str, incident: Any, moment: str, **kwargs: Any) -> None:
        kwargs.setdefault("on_failure_callback", not_told)
        super().__init__(target=target, **kwargs)
        self.incident = incident
        self.moment = moment

    def carry_out(self, context: Context) -> dict[str, str]:
        done = open_incident(self.target, self.incident, context).run(f"tell:{self.moment}")
        self.log.info("%s: %s", done["outcome"], done["sentence"])
        if done["outcome"] == "failed":
            raise AirflowException(done["sentence"])
        return {"outcome": done["outcome"], "sentence": done["sentence"]}


class TellProgressOperator(BackstopOperator):
    """Tell everybody how it stands, every ``disaster.progress_every``; ends when the recovery ends or fails.

    Waits in the triggerer, so that it takes no slot from the recovery. Fails at its end when somebody could
    not be told; the recovery knows nothing of it.

    :param incident: the result of ``DeclareDisasterOperator``.
    """

    template_fields = ("target", "incident")
    results = ("incident",)

    def __init__(self, *, target: str, incident: Any, **kwargs: Any) -> None:
        kwargs.setdefault("on_failure_callback", not_told)
        super().__init__(target=target, **kwargs)
        self.incident = incident

    def carry_out(self, context: Context) -> None:
        self._wait(context, untold=[])

    def woken(
        self, context: Context, event: Mapping[str, Any], key: str = "", untold: list[str] | None = None
    ) -> dict[str, int]:
        """:param key: of the message that is due. :param untold: who could not be told so far."""
        with explained():
            if event["ended"]:
                if untold:
                    raise AirflowException(f"not everybody was told how it went on: {'; '.join(untold)}")
                return {"untold": 0}
            disaster = open_incident(self.target, self.incident, context)
            failed = communication_of(self.target, context).tell(disaster, "progress", key)
            self._wait(context, untold=[*(untold or []), *failed][-_KEPT:])
        raise AssertionError("it waits, or has ended")

    def _wait(self, context: Context, *, untold: list[str]) -> None:
        from backstop.commands.disaster.telling import next_period
        from backstop.hooks.target import TargetHook
        from backstop.settings.arguments import utc_now

        every = TargetHook(self.target, AccessRole.RESTORER).target.disaster.progress_every
        key, due_at = next_period(parse_time(self.incident["declared_at"]), utc_now(), every)
        ti = context["ti"]
        self.defer(
            trigger=RecoveryEndTrigger(
                dag_id=ti.dag_id,
                run_id=ti.run_id,
                task_ids=RECOVERY,
                until=due_at.astimezone(timezone.utc).isoformat(),
            ),
            method_name="woken",
            kwargs={"key": key, "untold": untold},
        )


_KEPT = 20
"""How many failures travel with a waiting task."""


def open_incident(
    target: str,
    incident: Any,
    context: Context,
    *,
    role: AccessRole = AccessRole.RESTORER,
    by: str = "",
    progress: Progress | None = None,
) -> Disaster:
    """The one that was declared, with whoever is told of it.

    :param by: who acts, for the journal; by default, who triggered the run.

    :raises RestoreError: there is none: that task can be marked as successful by hand, too.
    """
    from backstop.hooks.target import TargetHook

    if not isinstance(incident, dict) or not incident.get("incident_id"):
        raise RestoreError(
            f"no disaster of {target} was declared; nothing was touched", hint="clear the task `declare`"
        )
    return (
        TargetHook(target, role)
        .disasters(by=by or who(context), progress=progress, tell=communication_of(target, context))
        .open(str(incident["incident_id"]))
    )


def who(context: Context) -> str:
    """For the journal."""
    return requester(context) or f"Airflow ({context['ti'].dag_id})"


def not_told(context: Mapping[str, Any]) -> None:
    """``on_failure_callback`` of what tells people: the recovery is not what failed."""
    from backstop.notifications.runs import report_run

    ti = context["ti"]
    report_run(
        context,
        subject=f"messages of {ti.dag_id}",
        sentence=f"{ti.task_id}: not everybody was told of the recovery: {context.get('exception')}",
        hint="tell them yourself; the incident's journal has who was told what",
        facts={"until_ended": True, "dag_id": ti.dag_id},
    )
