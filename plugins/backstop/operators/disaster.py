"""Recover from a disaster, step by step; the incident's journal in the repositories knows how far it is.

A run that Airflow began can be finished at a command line, and the other way round. Whether a step is still
to be done is the engine's to say, never the colour of a task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import BackstopError, ConfigurationError, RestoreError
from backstop.model.access import AccessRole
from backstop.model.canonical import parse_time
from backstop.operators.approval import RESTORE_TAKES
from backstop.operators.base import BackstopOperator
from backstop.operators.disaster_left_out import leave_out_marked
from backstop.operators.disaster_telling import communication_of, open_incident, told_meanwhile
from backstop.operators.disaster_wording import incident_note
from backstop.operators.note import NOTE, NOTE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.sdk import Context

    from backstop.commands.disaster.engine import Disaster


class IncidentOperator(BackstopOperator):
    """A step of an incident that was declared. :param incident: the result of ``DeclareDisasterOperator``."""

    role = AccessRole.RESTORER
    template_fields: tuple[str, ...] = ("target", "incident")
    results: tuple[str, ...] = ("incident",)

    def __init__(self, *, target: str, incident: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.incident = incident

    def disaster(self, context: Context) -> Disaster:
        """With whoever is told of it.

        :raises RestoreError: none was declared: that task can be marked as successful by hand, too.
        """
        from backstop.operators.progress import LoggedProgress

        return open_incident(
            self.target, self.incident, context, role=self.role, progress=LoggedProgress(self.log)
        )

    def say(self, done: dict[str, Any]) -> dict[str, Any]:
        """A step's end, into the log; and what of it other tasks may read."""
        self.log.info("%s: %s (%s)", done["step"], done["sentence"], done["outcome"])
        return {name: done[name] for name in ("step", "outcome", "sentence")}


class AssessDisasterOperator(IncidentOperator):
    """Look at what is lost, and at what every repository could bring back. Changes nothing."""

    def carry_out(self, context: Context) -> dict[str, Any]:
        assessment = self.disaster(context).assess()
        for one in assessment["components"]:
            self.log.info("%s is %s: %s", one["component"], one["state"], one["sentence"])
        for one in assessment["repositories"]:
            if not one["reachable"]:
                self.log.warning("Repository %s cannot be read: %s", one["name"], one["problem"])
        for option in assessment["options"]:
            self.log.info("Option %s: %s", option["id"], option["title"])
        return {
            "assessed_at": assessment["assessed_at"],
            "lost": list(assessment["lost"]),
            "options": [option["id"] for option in assessment["options"]],
            "recommended": assessment["recommended"],
        }


class ApprovedIncidentOperator(IncidentOperator):
    """A step that moves something. :param approval: the result of ``ChooseRecoveryOperator``."""

    template_fields = (*IncidentOperator.template_fields, "approval")
    results = (*IncidentOperator.results, "approval")

    def __init__(self, *, target: str, incident: Any, approval: Any, **kwargs: Any) -> None:
        super().__init__(target=target, incident=incident, **kwargs)
        self.approval = approval

    def require_approval(self) -> dict[str, Any]:
        """:raises RestoreError: nobody chose and approved, or too long ago."""
        from backstop.settings.arguments import utc_now

        given = self.approval if isinstance(self.approval, dict) else {}
        if not given.get("plan_sha256") or given.get("incident_id") != (self.incident or {}).get(
            "incident_id"
        ):
            raise RestoreError(
                f"nobody chose and approved a way back for {self.target}; nothing was touched",
                hint="clear the task `approve`, and have it answered",
            )
        if utc_now() - parse_time(given["approved_at"]) > RESTORE_TAKES:
            raise RestoreError(
                f"the approval for {self.target} is of {given['approved_at']} and held for {RESTORE_TAKES}; "
                "nothing was touched",
                hint="clear the task `approve`, and have it answered anew",
            )
        return given


class ListComponentsOperator(ApprovedIncidentOperator):
    """What comes back, in the order of the chosen plan: one entry for each task of ``recover``."""

    def carry_out(self, context: Context) -> list[dict[str, str]]:
        given = self.require_approval()
        for component in given["order"]:
            self.log.info("To recover: %s", component)
        return [{"component": component} for component in given["order"]]


class PrepareInfrastructureOperator(ApprovedIncidentOperator):
    """What data is restored to: the target's own commands bring it back, or say that it is there.

    Cleared, it is done again.
    """

    def carry_out(self, context: Context) -> dict[str, Any]:
        self.require_approval()
        again = context["ti"].try_number > 1
        with told_meanwhile(self, context) as disaster:
            return self.say(disaster.infrastructure(redo=again))


class RecoverComponentOperator(ApprovedIncidentOperator):
    """Restore one component beside what is live, validate it, and put it in its place.

    Cleared after it has succeeded it is not done again, because what was written since would be lost:
    ``redo`` says that it shall be.

    :param component: of the plan.
    :param redo: components to be recovered once more although they are back; JSON.
    """

    template_fields = (*ApprovedIncidentOperator.template_fields, "component", "redo")
    results = (*ApprovedIncidentOperator.results, "redo")

    def __init__(self, *, component: str, redo: Any = "[]", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.component = component
        self.redo = redo

    def carry_out(self, context: Context) -> dict[str, Any]:
        # Airflow renders the fields of a mapped task without asking it.
        self.take_results()
        given = self.require_approval()
        _require_here(self.target, self.component)
        with told_meanwhile(self, context) as disaster:
            leave_out_marked(disaster, context, ["infrastructure"])
            again = _to_be_redone(disaster, self.component, context, wanted=self.redo or ())
            try:
                done = disaster.recover(self.component, plan_sha256=given["plan_sha256"], redo=again)
            except BackstopError:
                communication_of(self.target, context).tell(disaster, "progress")
                raise
        return self.say(done)


class ValidateRecoveryOperator(IncidentOperator):
    """Ask the target's own probes, through its own front door. Cleared, they are asked again.

    :param item: ``functionality``, ``consistency``, ``integrations``.
    """

    template_fields = (*IncidentOperator.template_fields, "item")

    def __init__(self, *, item: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item = item

    def carry_out(self, context: Context) -> dict[str, Any]:
        self.take_results()
        disaster = self.disaster(context)
        leave_out_marked(disaster, context, ["recover"])
        done = disaster.validate(self.item, redo=True)
        for one in done["facts"].get("checked", ()):
            self.log.info("%s", one.get("sentence", one))
        return self.say(done)


class RecordIncidentOperator(IncidentOperator):
    """Keep what it took and what was lost, and close the incident; fails while it is not over.

    Who was not told makes it fail no more than it stops the recovery.

    :cvar fails_for: tasks right before it that it runs after whatever became of them, and fails for.
    """

    role = AccessRole.VERIFIER  # it makes evidence

    fails_for = frozenset({"validate"})

    def carry_out(self, context: Context) -> dict[str, Any]:
        disaster = self.disaster(context)
        leave_out_marked(disaster, context, ["recover", "validate", "tell_start", "tell_end"])
        status = disaster.status()
        open_steps = [
            f"{one['step']} ({one['state']})"
            for one in status["steps"]
            if one["step"].startswith(("recover:", "validate:")) and one["state"] not in ("passed", "skipped")
        ]
        if open_steps or not status["plan"]:
            raise RestoreError(
                f"{disaster.incident_id} of {self.target} stays open, it is not over: "
                + (", ".join(open_steps) if status["plan"] else "nobody has chosen a way back"),
                hint="mend what is red and clear it; mark a step as successful to leave it out; or go on "
                f"with `python -m backstop recover-from-disaster --target {self.target}`",
            )
        if status["closed_at"]:
            self.log.info("It was closed at %s by %s", status["closed_at"], status["closed_by"])
        else:
            done = disaster.record()
            disaster.close(outcome=str(done["facts"].get("outcome") or "recovered"))
        note = incident_note(disaster.status())
        for line in note.splitlines():
            self.log.info("%s", line)
        context["ti"].xcom_push(key=NOTE, value=note[:NOTE_LIMIT])
        return {"incident_id": disaster.incident_id, "outcome": disaster.status()["outcome"]}


def _require_here(target: str, component: str) -> None:
    """:raises ConfigurationError: its files belong to workers of another queue than the target's."""
    from backstop.hooks.target import TargetHook

    rules = TargetHook(target, AccessRole.RESTORER).target
    tree = rules.trees.get(component.removeprefix("tree:")) if component.startswith("tree:") else None
    if tree is not None and tree.queue and tree.queue != rules.queue:
        raise ConfigurationError(
            f"{component} of {target} belongs to workers of queue {tree.queue}; nothing was restored here",
            hint=f"trigger restore_files__{tree.queue}, then mark this task as successful",
        )


def _to_be_redone(disaster: Disaster, component: str, context: Context, *, wanted: Collection[str]) -> bool:
    """Whether it is done although the journal says that it is back, or that somebody may be at it.

    A run does nothing twice that it was asked for; and of a try of this task that was interrupted, Airflow
    knows that it has ended, wherever it ran.
    """
    step = next((one for one in disaster.status()["steps"] if one["step"] == f"recover:{component}"), None)
    if step is None:
        return False
    if step["state"] == "running or interrupted":
        return int(context["ti"].try_number) > 1
    if component not in wanted or not step["ended_at"]:
        return False
    return bool(parse_time(step["ended_at"]) < context["dag_run"].run_after)
