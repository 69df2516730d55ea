"""A drill, step by step: plan, restore elsewhere, check, take down, record. Each step is the engine's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import DrillFailedError, ScratchError
from backstop.model.access import AccessRole
from backstop.operators.base import BackstopOperator
from backstop.operators.people import requester

if TYPE_CHECKING:
    from airflow.sdk import Context

    from backstop.commands.drill.drill import Drill
    from backstop.model.drill_plan import DrillPlan

RESTORED = "restored"
"""Key of the XCom in which each component says how far it came: there when its task has failed, too."""
LEFT_BEHIND = "left_behind"
"""Key of the XCom in which the teardown says what it could not remove."""
BY_SCHEDULE = "the schedule"


class PlanDrillOperator(BackstopOperator):
    """Draw the moment of the disaster, and settle what is restored from where. Changes nothing.

    :param scenario: as ``targets.yaml`` writes it; empty: the one that stands there, or is next.
    :param seed: draws the same moment again; empty: a new one.
    :param moment: a time with its zone, instead of a drawn one; empty: drawn.
    """

    template_fields = ("target", "scenario", "seed", "moment")

    def __init__(
        self, *, target: str, scenario: str = "", seed: str = "", moment: str = "", **kwargs: Any
    ) -> None:
        super().__init__(target=target, **kwargs)
        self.scenario = scenario
        self.seed = seed
        self.moment = moment

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.hooks.target import TargetHook
        from backstop.operators.progress import LoggedProgress
        from backstop.settings.arguments import parse_moment

        plan = (
            TargetHook(self.target, AccessRole.VERIFIER)
            .drill(LoggedProgress(self.log))
            .plan(
                scenario=self.scenario.strip() or None,
                seed=self.seed.strip() or None,
                moment=parse_moment(self.moment) if self.moment.strip() else None,
                requested_by=requester(context) or BY_SCHEDULE,
            )
        )
        for sentence in plan.sentences:
            self.log.info("%s", sentence)
        return plan.to_dict()


class DrillOperator(BackstopOperator):
    """A step after the plan.

    :param plan: the result of :class:`PlanDrillOperator`.
    """

    template_fields: tuple[str, ...] = ("target", "plan")
    results: tuple[str, ...] = ("plan",)

    def __init__(self, *, target: str, plan: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.plan = plan

    def planned(self) -> DrillPlan:
        """:raises DrillFailedError: there is none, as when that task was marked as successful by hand."""
        from backstop.model.drill_plan import DrillPlan

        self.take_results()
        if not self.plan:
            raise DrillFailedError(
                f"no drill of {self.target} was planned; nothing was restored",
                hint="see the log of `plan`, then trigger a new run",
            )
        return DrillPlan.from_dict(self.plan)

    def engine(self) -> Drill:
        from backstop.hooks.target import TargetHook
        from backstop.operators.progress import LoggedProgress

        return TargetHook(self.target, AccessRole.VERIFIER).drill(LoggedProgress(self.log))


class PrepareDrillOperator(DrillOperator):
    """Make room below the drill's folder, and remove what a killed drill left there.

    The setup of a drill: once it has succeeded, :class:`TearDownDrillOperator` runs whatever happens.
    Returns the components to restore; none where the command line does it all.
    """

    def carry_out(self, context: Context) -> list[str]:
        plan = self.planned()
        if by_command_line(plan):
            return []
        self.engine().prepare(plan)
        return list(plan.names)


class RestoreDrillOperator(DrillOperator):
    """Bring one component back in the drill's folder as if the original were gone.

    :param component: ``base``, ``dump`` or ``tree:<name>``.
    :raises AirflowFailException: it did not come back; how far it came is recorded all the same.
    """

    template_fields = ("target", "plan", "component")

    def __init__(self, *, target: str, plan: Any, component: str, **kwargs: Any) -> None:
        super().__init__(target=target, plan=plan, **kwargs)
        self.component = component

    def carry_out(self, context: Context) -> dict[str, Any]:
        restored = self.engine().restore(self.planned(), self.component)
        context["ti"].xcom_push(key=RESTORED, value=restored.to_dict())
        if restored.failure:
            raise DrillFailedError(
                f"{self.component} of {self.target} did not come back: {restored.failure}",
                hint="a real restore would have failed the same way: mend it, then drill again",
            )
        for sentence in restored.recovery.notes:
            self.log.info("%s", sentence)
        return {"component": self.component, "label": restored.recovery.label}


class TearDownDrillOperator(DrillOperator):
    """Stop and remove everything that the drill has made, whatever became of it.

    :raises AirflowFailException: something is left. A teardown does not count for the run; the record says it
        too, and :class:`~backstop.operators.drill_verdict.JudgeDrillOperator` fails for it.
    """

    def carry_out(self, context: Context) -> list[str]:
        from backstop.hooks.command_line import credentials_folder, forget_credentials

        plan, engine = self.planned(), self.engine()
        forget_credentials(credentials_folder(plan.drill_id))
        # Of the drill that the command line planned for itself this process knows only what is left of it.
        plans = engine.found() if by_command_line(plan) else [plan]
        left = [sentence for one in plans for sentence in engine.tear_down(one)]
        context["ti"].xcom_push(key=LEFT_BEHIND, value=left)
        if left:
            raise ScratchError(
                f"the drill of {self.target} left something behind: {'; '.join(left)}",
                hint="remove it by hand, or clear this task",
            )
        return left


def by_command_line(plan: DrillPlan) -> bool:
    """Whether the drill supposes that Airflow is lost, so that no task of it may restore anything."""
    from backstop.model.scenario import Loss, Scenario

    return Scenario.parse(str(plan.scenario)).loss is Loss.AIRFLOW
