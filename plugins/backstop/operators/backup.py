"""Take backups and list them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import StorageUnavailableError
from backstop.model.access import AccessRole
from backstop.operators.asset import database_backups
from backstop.operators.base import BackstopOperator, holder
from backstop.operators.links import LINKS
from backstop.operators.note import NOTE, dump_note, report_lines

if TYPE_CHECKING:
    from airflow.sdk import Context


class BackUpDatabaseOperator(BackstopOperator):
    """Back a target's database up to all its repositories and tell whoever waits for backups.

    Succeeds when at least one repository has the backup: it exists then, and its verification must start.
    A repository that has not got it is named in the result, for :class:`RequireEveryRepositoryOperator`.
    """

    operator_extra_links = LINKS
    backup_label: str | None = None
    """Of the backup, once it exists."""

    def __init__(self, *, target: str, **kwargs: Any) -> None:
        super().__init__(target=target, outlets=[database_backups(target)], **kwargs)

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.database.dump import back_up_database
        from backstop.hooks.target import TargetHook
        from backstop.operators.progress import LoggedProgress
        from backstop.settings.arguments import utc_now
        from backstop.settings.database import dump_settings

        hook = TargetHook(self.target, AccessRole.WRITER)
        repositories = hook.repositories()
        progress = LoggedProgress(self.log)
        report = back_up_database(
            target=self.target,
            source=hook.cluster(),
            repositories=repositories,
            keyring=hook.keyring(),
            signer=hook.signer("manifest"),
            settings=dump_settings(hook.configuration, self.target, repositories),
            clock=utc_now,
            holder=holder(context),
            progress=progress,
        ).to_dict()
        progress.finish()
        self.backup_label = report["label"]
        for line in report_lines(report):
            self.log.info("%s", line)
        context["ti"].xcom_push(key=NOTE, value=dump_note(report))
        context["outlet_events"][database_backups(self.target)].extra = {
            "label": report["label"],
            "repositories": report["repositories"],
        }
        return report


class RequireEveryRepositoryOperator(BackstopOperator):
    """Fail, by name, for every repository that a backup did not reach.

    A task of its own, so that the backup that does exist is neither taken again nor hidden.

    :param report: the result of :class:`~BackUpDatabaseOperator`.
    """

    template_fields = ("target", "report")
    results = ("report",)

    def __init__(self, *, target: str, report: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.report = report

    def carry_out(self, context: Context) -> dict[str, str]:
        states: dict[str, str] = self.report["repositories"]
        failed = {name: state for name, state in states.items() if state != "completed"}
        if failed:
            sentences = "; ".join(f"{name}: {state}" for name, state in failed.items())
            raise _MissingInRepositoryError(
                f"backup {self.report['label']} of {self.target} is not in every repository: {sentences}",
                hint="it is complete in the others; repair this one, and the next sync copies it there",
            )
        return states


class _MissingInRepositoryError(StorageUnavailableError):
    """Waiting alone does not copy a backup: this fails at once."""

    retryable = False
