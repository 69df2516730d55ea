"""Take base backups of a target's whole cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import ConfigurationError
from backstop.model.access import AccessRole
from backstop.operators.asset import cluster_backups
from backstop.operators.base import BackstopOperator, holder
from backstop.operators.links import LINKS
from backstop.operators.note import NOTE, base_backup_note, report_lines

if TYPE_CHECKING:
    from airflow.sdk import Context

KINDS = {
    "due": "What the schedules ask for now",
    "full": "Full",
    "incr": "Incremental: what has changed since the newest one",
}


class TakeBaseBackupOperator(BackstopOperator):
    """Copy the cluster to all repositories of the target and tell whoever waits for base backups.

    Succeeds when at least one repository has the copy and all WAL that it needs; one that has not is named in
    the result, for :class:`~backstop.operators.backup.RequireEveryRepositoryOperator`.

    :param kind: a key of :data:`KINDS`.
    """

    template_fields = ("target", "kind")
    operator_extra_links = LINKS
    backup_label: str | None = None
    """Of the backup, once it exists."""

    def __init__(self, *, target: str, kind: str = "due", **kwargs: Any) -> None:
        super().__init__(target=target, outlets=[cluster_backups(target)], **kwargs)
        self.kind = kind

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.base.backup import take_base_backup
        from backstop.commands.wal.holds import WalHeld
        from backstop.hooks.target import TargetHook
        from backstop.model.backup import BackupKind
        from backstop.operators.progress import LoggedProgress
        from backstop.settings.arguments import utc_now
        from backstop.settings.cluster import base_backup_settings, kind_of_base_backup

        if self.kind not in KINDS:
            raise ConfigurationError(
                f"there is no kind {self.kind!r} of base backup", hint=f"choose one of: {', '.join(KINDS)}"
            )
        hook = TargetHook(self.target, AccessRole.WRITER)
        repositories = hook.repositories()
        if self.kind == "due":
            kind, why = kind_of_base_backup(hook.configuration, self.target, repositories, now=utc_now())
            self.log.info("A base backup of kind %s: %s", kind.value, why)
        else:
            kind = BackupKind(self.kind)
        progress = LoggedProgress(self.log)
        report = take_base_backup(
            target=self.target,
            cluster=hook.cluster_for_replication(),
            repositories=repositories,
            keyring=hook.keyring(),
            signer=hook.signer("manifest"),
            settings=base_backup_settings(hook.configuration, self.target, repositories),
            kind=kind,
            clock=utc_now,
            holder=holder(context),
            progress=progress,
            wal_holds=WalHeld(self.target),
        ).to_dict()
        progress.finish()
        self.backup_label = report["label"]
        for line in report_lines(report):
            self.log.info("%s", line)
        context["ti"].xcom_push(key=NOTE, value=base_backup_note(report))
        context["outlet_events"][cluster_backups(self.target)].extra = {
            "label": report["label"],
            "repositories": report["repositories"],
        }
        return report
