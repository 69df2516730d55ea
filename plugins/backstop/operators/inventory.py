"""Keep the inventory, an SQL index for people and reports, in step with the repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from backstop.errors import BackstopError, IntegrityError
from backstop.model.access import AccessRole
from backstop.operators.base import BackstopOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class IndexInventoryOperator(BackstopOperator):
    """Read every repository of the target into the inventory; skipped where targets.yaml names none.

    An inventory that does not answer makes this task fail, never the backup before it.
    """

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.hooks.target import TargetHook

        hook = TargetHook(self.target, AccessRole.AUDITOR)
        inventory = hook.inventory()
        if inventory is None:
            raise AirflowSkipException("targets.yaml names no inventory")
        inventory.migrate()
        counts: dict[str, Any] = {}
        wrong: list[str] = []
        retryable: BackstopError | None = None
        for repository in hook.every_repository():
            try:
                report = inventory.index(repository)
            except BackstopError as error:
                retryable = error if error.retryable else retryable
                wrong.append(f"repository {repository.name}: {error}")
                continue
            counts[repository.name] = {
                "backups": report.backups,
                "proofs": report.proofs,
                "holds": report.holds,
            }
            wrong += [f"repository {repository.name}: {error}" for error in report.unreadable]
            wrong += [
                f"repository {repository.name} has lost backup {label}, which it held before"
                for label in report.missing
            ]
            wrong += [
                f"repository {repository.name} has lost {hold}, which nobody released"
                for hold in report.missing_holds
            ]
        if retryable:
            raise retryable
        if wrong:
            raise IntegrityError(
                "; ".join(wrong),
                hint="restore the repository from its copy, or take a new backup now; should another "
                "deployment expire backups there, give one of the two a repository of its own "
                "(docs/upgrading.md)",
            )
        return counts
