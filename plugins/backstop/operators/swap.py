"""The short part of a restore that users notice, and its way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import RestoreError
from backstop.model.access import AccessRole
from backstop.operators.approved import ApprovedOperator
from backstop.operators.base import BackstopOperator
from backstop.operators.people import requester

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from backstop.commands.database.swap import Names


def _names(plan: Mapping[str, Any]) -> Names:
    from backstop.commands.database.swap import Names

    return Names(database=plan["database"], beside=plan["beside"], old=plan["old"])


class PlanSwapBackOperator(BackstopOperator):
    """Find the former database that a swap has kept, and what would stop going back to it. Changes nothing.

    :param former: its name; may be empty where only one is kept.
    """

    template_fields = ("target", "former")

    def __init__(self, *, target: str, former: str = "", **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.former = former

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.database.swap import plan_swap_back
        from backstop.hooks.target import TargetHook
        from backstop.settings.arguments import utc_now

        hook = TargetHook(self.target, AccessRole.RESTORER)
        database = hook.target.database
        names, blockers = plan_swap_back(
            database.dbname,
            former=(self.former or "").strip(),
            server=hook.cluster_for_restore(),
            accept_logical_slots=database.restore.accept_logical_slots,
            now=utc_now(),
        )
        return {
            "target": self.target,
            "mode": "swap_back",
            "chosen_by": requester(context),
            "database": names.database,
            "beside": names.beside,
            "old": names.old,
            "database_oid": names.beside_oid,
            "blockers": blockers,
        }


class _SwapOperator(ApprovedOperator):
    """A step of a swap.

    :param validated: the result of ``ValidateRestoredOperator``; nothing on the way back, where the plan
        itself says which database it is about.
    """

    template_fields = (*ApprovedOperator.template_fields, "validated")
    results = (*ApprovedOperator.results, "validated")
    swapping = True

    def __init__(self, *, target: str, validated: Any = "null", **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.validated = validated

    def require_validated(self) -> int:
        """The database that may take the live name, by its oid.

        :raises RestoreError: it was never found equal to its backup: that task can be marked as successful by
            hand, too.
        """
        oid = (self.validated or self.plan).get("database_oid")
        if not isinstance(oid, int):
            raise RestoreError(
                f"{self.plan['beside']} was never found equal to its backup; nothing was touched",
                hint="clear the task `validate`",
            )
        return oid


class CheckSwapOperator(_SwapOperator):
    """Refuse, by name, what would stop the swap half-way; the last look before the application is stopped.

    The setup of the swap: once it has succeeded, :class:`ReopenDatabaseOperator` runs whatever happens.
    """

    def carry_out(self, context: Context) -> None:
        from backstop.commands.database.swap import check_swap_in
        from backstop.hooks.target import TargetHook
        from backstop.settings.arguments import utc_now

        hook = TargetHook(self.target, AccessRole.RESTORER)
        self.require_consent(hook.target.database.restore, utc_now())
        oid = self.require_validated()
        check_swap_in(
            _names(self.plan),
            server=hook.cluster_for_restore(),
            accept_logical_slots=hook.target.database.restore.accept_logical_slots,
            beside_oid=oid,
        )


class SwapDatabaseOperator(_SwapOperator):
    """Stop the application, rename, start it, probe it: one task, because every second of it is downtime."""

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.database.swap import swap_in
        from backstop.hooks.target import TargetHook
        from backstop.settings.arguments import utc_now
        from backstop.settings.database import application_commands

        hook = TargetHook(self.target, AccessRole.RESTORER)
        self.require_consent(hook.target.database.restore, utc_now())
        oid = self.require_validated()
        outcome = swap_in(
            _names(self.plan),
            server=hook.cluster_for_restore(),
            application=application_commands(hook.configuration, self.target),
            accept_logical_slots=hook.target.database.restore.accept_logical_slots,
            beside_oid=oid,
        ).to_dict()
        self.log.info(
            "%s is the other database now; its former data is kept in %s; nobody could connect for %.1f s",
            outcome["live"],
            outcome["kept"],
            outcome["closed_seconds"],
        )
        return outcome


class ReopenDatabaseOperator(BackstopOperator):
    """Whatever happened to the swap: the live name takes connections, the application runs and answers.

    The swap sees to it itself; this is for the worker that was killed in the middle of one.

    :param plan: the result of ``PlanRestoreOperator`` or of :class:`PlanSwapBackOperator`.
    :param outcome: the result of :class:`~SwapDatabaseOperator`; None when it did not come to an end.
    """

    template_fields = ("target", "plan", "outcome")
    results = ("plan", "outcome")

    def __init__(self, *, target: str, plan: Any, outcome: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.plan = plan
        self.outcome = outcome

    def carry_out(self, context: Context) -> None:
        from backstop.commands.database.swap import reopen
        from backstop.hooks.target import TargetHook
        from backstop.settings.database import application_commands

        if self.outcome:
            self.log.info("The swap came to its end; nothing to put right")
            return
        self.log.warning("The swap did not come to its end; opening the database, starting the application")
        hook = TargetHook(self.target, AccessRole.RESTORER)
        reopen(
            _names(self.plan),
            server=hook.cluster_for_restore(),
            application=application_commands(hook.configuration, self.target),
        )
