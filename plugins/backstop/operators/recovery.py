"""Recover a target's cluster to a point in time, beside the live one; then, perhaps, put it in its place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from backstop.errors import BackstopError, ConfigurationError, RestoreError
from backstop.model.access import AccessRole
from backstop.operators.approval import ApproveRestoreOperator
from backstop.operators.approved import ApprovedOperator
from backstop.operators.base import BackstopOperator
from backstop.operators.choice import ANY_REPOSITORY
from backstop.operators.people import requester

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context

    from backstop.commands.recovery.result import RecoveryResult
    from backstop.hooks.target import TargetHook
    from backstop.model.recovery import RecoveryTarget
    from backstop.targets.cluster import Recovery
    from backstop.targets.database import Consent

MODES = {
    "beside": "Recover and validate; leave it beside, stopped",
    "cut over": "Recover, validate, then put it in the live cluster's place",
}


class PlanRecoveryOperator(BackstopOperator):
    """Decide which base backup and which WAL lead to the point, or say why none do. Changes nothing.

    :param point: ``latest``, a time with its zone, ``lsn:…``, ``name:…``, ``xid:…``, ``immediate``.
    :param timeline: a number, ``latest`` or ``current``.
    :param base: label of the base backup to start from; empty for the best one.
    :param mode: a key of :data:`MODES`.
    :param repository: where to read, or ``any``.
    """

    template_fields = ("target", "point", "timeline", "base", "mode", "repository")

    def __init__(
        self,
        *,
        target: str,
        point: str,
        timeline: str = "latest",
        base: str = "",
        mode: str = "beside",
        repository: str = ANY_REPOSITORY,
        **kwargs: Any,
    ) -> None:
        super().__init__(target=target, **kwargs)
        self.point = point
        self.timeline = timeline
        self.base = base
        self.mode = mode
        self.repository = repository

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.recovery.cut_over import refuse_unfit_place
        from backstop.hooks.target import TargetHook
        from backstop.model.recovery import RecoveryTarget
        from backstop.settings.arguments import utc_now
        from backstop.settings.cluster import cutover_commands, recovery_destination

        if self.mode not in MODES:
            raise ConfigurationError(
                f"mode {self.mode!r} is not possible", hint=f"choose: {', '.join(MODES)}"
            )
        hook = TargetHook(self.target, AccessRole.RESTORER)
        goal = RecoveryTarget.parse(self.point, timeline=self.timeline or "latest", base=self.base or None)
        replaces = None
        destination = recovery_destination(hook.configuration, self.target, now=utc_now())
        if self.mode == "cut over":
            live, _ = cutover_commands(hook.configuration, self.target)
            refuse_unfit_place(live, beside=destination)
            replaces = str(live)
        plan = self._first_plan(hook, goal, destination)
        for sentence in [*plan["why"], *plan["warnings"]]:
            self.log.info("%s", sentence)
        return {
            **plan,
            "mode": self.mode,
            "chosen_by": requester(context),
            "database": f"cluster of {self.target}",
            "replaces": replaces,
        }

    def _first_plan(self, hook: TargetHook, goal: RecoveryTarget, destination: Path) -> dict[str, Any]:
        """From the named repository, or the first that leads there."""
        from backstop.commands.recovery.summary import summary
        from backstop.operators.progress import LoggedProgress

        names = [one.name for one in hook.repositories()]
        wanted = names if self.repository == ANY_REPOSITORY else [self.repository]
        failures: list[BackstopError] = []
        for name in wanted:
            try:
                plan = hook.recovery(name, destination, LoggedProgress(self.log)).plan(goal)
                return summary(plan, target=self.target, repository=name, destination=destination)
            except BackstopError as error:
                failures.append(error)
                self.log.warning("From repository %s: %s", name, error)
        raise failures[0]


class ApproveRecoveryOperator(ApproveRestoreOperator):
    """Show the plan and wait for consent, as the target's policy asks before the live cluster is replaced."""

    REPLACES = "cluster"

    def rules(self) -> Consent:
        return _recovery(self.plan["target"])

    def words(self, now: datetime) -> tuple[str, list[str]]:
        from backstop.operators.wording import recovery_statements

        return (
            f"Replace the cluster of {self.plan['target']} by its state at {self.plan['point']}?",
            recovery_statements(self.plan),
        )


class RecoverBesideOperator(ApprovedOperator):
    """Fetch, replay, validate: a stopped data directory comes out, which nobody uses yet."""

    begins = True

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.recovery.summary import point_of, require_same, result_document
        from backstop.hooks.target import TargetHook
        from backstop.operators.progress import LoggedProgress
        from backstop.settings.arguments import utc_now

        self.require_consent(_recovery(self.target), utc_now())
        progress = LoggedProgress(self.log)
        restore = TargetHook(self.target, AccessRole.RESTORER).recovery(
            self.plan["repository"], Path(self.plan["destination"]), progress
        )
        plan = restore.plan(point_of(self.plan))
        require_same(plan, self.plan)
        result = restore.run(plan)
        progress.finish()
        for sentence in (*result.healed, *result.warnings):
            self.log.warning("%s", sentence)
        return result_document(result)


class StopBesideRecoveryOperator(BackstopOperator):
    """End the run here when a recovered copy was all that was wanted.

    :param plan: the result of :class:`PlanRecoveryOperator`.
    """

    template_fields = ("target", "plan")
    results = ("plan",)

    def __init__(self, *, target: str, plan: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.plan = plan

    def carry_out(self, context: Context) -> None:
        if self.plan["mode"] == "beside":
            raise AirflowSkipException(f"The recovered cluster is in {self.plan['destination']}, stopped")


class _CutOverOperator(ApprovedOperator):
    """A step of a cut-over.

    :param recovered: the result of :class:`RecoverBesideOperator`.
    """

    template_fields = (*ApprovedOperator.template_fields, "recovered")
    results = (*ApprovedOperator.results, "recovered")
    swapping = True

    def __init__(self, *, target: str, recovered: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.recovered = recovered

    def require_validated(self) -> RecoveryResult:
        """:raises RestoreError: nothing was: that task can be marked as successful by hand, too."""
        from backstop.commands.recovery.summary import result_from

        if not self.recovered:
            raise RestoreError(
                f"nothing was recovered and validated for {self.target}; nothing was touched",
                hint="clear the task `recover_beside`",
            )
        return result_from(self.recovered)


class CheckCutOverOperator(_CutOverOperator):
    """Refuse, by name, what would stop the cut-over half-way; the last look before the server is stopped.

    The setup of the cut-over: once it has succeeded, :class:`StartClusterOperator` runs whatever happens.
    """

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.recovery.cut_over import check_cut_over
        from backstop.hooks.target import TargetHook
        from backstop.settings.arguments import utc_now
        from backstop.settings.cluster import cutover_commands

        self.require_consent(_recovery(self.target), utc_now())
        live, _ = cutover_commands(TargetHook(self.target, AccessRole.RESTORER).configuration, self.target)
        validated = self.require_validated()
        return {
            "live_inode": check_cut_over(validated, live=live),
            "recovered_inode": validated.data_inode,
        }


class CutOverOperator(_CutOverOperator):
    """Stop the live cluster, exchange the data directories, start, probe: every second of it is downtime."""

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.recovery.cut_over import cut_over, reserve_slot
        from backstop.hooks.target import TargetHook
        from backstop.settings.arguments import utc_now
        from backstop.settings.cluster import archive_settings, cutover_commands

        self.require_consent(_recovery(self.target), utc_now())
        result = self.require_validated()
        hook = TargetHook(self.target, AccessRole.RESTORER)
        live, commands = cutover_commands(hook.configuration, self.target)
        outcome = cut_over(result, live=live, cluster=commands, now=utc_now())
        for sentence in (*outcome.notes, f"The cluster is {outcome.unprotected}"):
            self.log.warning("%s", sentence)
        slot = archive_settings(hook.configuration, self.target, hook.repositories()).slot_of(self.target)
        try:
            reserve_slot(hook.cluster_for_replication(), slot)
        except BackstopError as error:
            # What was done stands; the watch over WAL archiving will be red until somebody makes the slot.
            self.log.error("Slot %s could not be made: %s", slot, error)
        return outcome.to_dict()


class StartClusterOperator(BackstopOperator):
    """Whatever happened to the cut-over: a whole data directory has the live name, and the server runs on it.

    The cut-over sees to it itself; this is for the worker that was killed in the middle of one.

    :param checked: the result of :class:`CheckCutOverOperator`.
    :param outcome: the result of :class:`CutOverOperator`; None when it did not come to an end.
    """

    template_fields = ("target", "checked", "outcome")
    results = ("checked", "outcome")

    def __init__(self, *, target: str, checked: Any, outcome: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.checked = checked
        self.outcome = outcome

    def carry_out(self, context: Context) -> None:
        from backstop.commands.recovery.cut_over import reopen_cluster
        from backstop.hooks.target import TargetHook
        from backstop.settings.cluster import cutover_commands

        if self.outcome:
            self.log.info("The cut-over came to its end; nothing to put right")
            return
        self.log.warning("The cut-over did not come to its end; starting the server")
        hook = TargetHook(self.target, AccessRole.RESTORER)
        live, commands = cutover_commands(hook.configuration, self.target)
        checked = self.checked or {}
        reopen_cluster(
            live,
            commands,
            live_inode=checked.get("live_inode"),
            recovered_inode=checked.get("recovered_inode"),
        )


def _recovery(target: str) -> Recovery:
    from backstop.hooks.target import TargetHook
    from backstop.wiring import find_recovery

    return find_recovery(TargetHook(target, AccessRole.RESTORER).configuration, target)
