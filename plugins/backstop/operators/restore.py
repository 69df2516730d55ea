"""Plan a restore, carry it out beside the live database, validate what came out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from backstop.model.access import AccessRole
from backstop.operators.approved import ApprovedOperator
from backstop.operators.base import BackstopOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from backstop.commands.database.restore import DatabaseRestore
    from backstop.hooks.target import TargetHook


class PlanRestoreOperator(BackstopOperator):
    """Look at everything that could stop the restore, and change nothing.

    :param choice: the result of :class:`~backstop.operators.choice.ChooseBackupOperator`.
    """

    template_fields = ("target", "choice")
    results = ("choice",)

    def __init__(self, *, target: str, choice: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.choice = choice

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.hooks.target import TargetHook
        from backstop.operators.choice import ANY_REPOSITORY
        from backstop.operators.known import first_holder
        from backstop.operators.progress import LoggedProgress

        hook = TargetHook(self.target, AccessRole.RESTORER)
        label, repository = self.choice["backup_label"], self.choice["repository"]
        if repository == ANY_REPOSITORY:
            repository = first_holder(hook.repositories(), label)
        plan = hook.restore(label, repository, LoggedProgress(self.log)).plan().to_dict()
        for sentence in [*plan["blockers"], *plan["warnings"]]:
            self.log.warning("%s", sentence)
        return plan


class _RestoreStepOperator(ApprovedOperator):
    """A step that works on the copy beside the live database."""

    def carry_out(self, context: Context) -> Any:
        from backstop.hooks.target import TargetHook
        from backstop.operators.progress import LoggedProgress
        from backstop.settings.arguments import utc_now

        hook = TargetHook(self.target, AccessRole.RESTORER)
        self.require_consent(hook.target.database.restore, utc_now())
        progress = LoggedProgress(self.log)
        restore = hook.restore(self.plan["label"], self.plan["repository"], progress)
        result = self.step(hook, restore)
        progress.finish()
        return result

    def step(self, hook: TargetHook, restore: DatabaseRestore) -> Any:
        raise NotImplementedError


class RestoreBesideOperator(_RestoreStepOperator):
    """Restore the backup into a database of its own; seconds by phase come back."""

    begins = True

    def step(self, hook: TargetHook, restore: DatabaseRestore) -> dict[str, Any]:
        from backstop.commands.database.plan import RestorePlan

        plan = RestorePlan.from_dict(self.plan)
        outcome = restore.restore_beside(plan)
        for note in outcome["notes"]:
            self.log.warning("%s", note)
        return {"database": plan.beside, "seconds": outcome["seconds"], "notes": outcome["notes"]}


class ValidateRestoredOperator(_RestoreStepOperator):
    """Compare the restored copy with the backup's fingerprint and ask the target's own questions."""

    def step(self, hook: TargetHook, restore: DatabaseRestore) -> dict[str, Any]:
        from backstop.commands.database.plan import RestorePlan

        verdict = restore.validate(RestorePlan.from_dict(self.plan))
        for sentence in verdict["not_set"]:
            self.log.warning("Missing from the copy, to be set by a superuser: %s", sentence)
        return verdict


class StopBesideOperator(BackstopOperator):
    """End the run here when a copy beside the live database was all that was wanted.

    :param choice: the result of :class:`~backstop.operators.choice.ChooseBackupOperator`.
    """

    template_fields = ("target", "choice")
    results = ("choice",)

    def __init__(self, *, target: str, choice: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.choice = choice

    def carry_out(self, context: Context) -> None:
        if self.choice["mode"] == "beside":
            raise AirflowSkipException("Only a copy beside the live database was asked for; it is ready")
