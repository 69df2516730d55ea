"""Back file trees up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from backstop.errors import BackstopError
from backstop.model.access import AccessRole
from backstop.operators.asset import tree_backups
from backstop.operators.base import BackstopOperator, holder
from backstop.operators.links import LINKS
from backstop.operators.note import NOTE, NOTE_LIMIT, report_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from backstop.hooks.target import TargetHook

_NOTED = 20


class BackUpFilesOperator(BackstopOperator):
    """Back a file tree up to all its repositories and tell whoever waits for its backups.

    Succeeds when at least one repository has the backup; one that has not is named in the result, for
    :class:`~backstop.operators.backup.RequireEveryRepositoryOperator`. A run that changes of files have woken
    is skipped when they are in a backup by now: several events may tell of one change.

    :param tree: a name below ``trees`` of the target.
    """

    template_fields = ("target", "tree")
    operator_extra_links = LINKS
    backup_label: str | None = None
    """Of the backup, once it exists."""

    def __init__(self, *, target: str, tree: str, **kwargs: Any) -> None:
        super().__init__(target=target, outlets=[tree_backups(target, tree)], **kwargs)
        self.tree = tree

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.trees.backup import back_up_files
        from backstop.hooks.target import TargetHook
        from backstop.operators.progress import LoggedProgress
        from backstop.settings.arguments import utc_now
        from backstop.settings.trees import tree_backup_settings

        hook = TargetHook(self.target, AccessRole.WRITER)
        if woken_by_changes(context):
            self._skip_unless_changed(hook)
        repositories = hook.tree_repositories(self.tree)
        progress = LoggedProgress(self.log)
        report = back_up_files(
            target=self.target,
            tree=self.tree,
            repositories=repositories,
            keyring=hook.keyring(),
            signer=hook.signer("manifest"),
            settings=tree_backup_settings(hook.configuration, self.target, self.tree, repositories),
            clock=utc_now,
            holder=holder(context),
            progress=progress,
        ).to_dict()
        progress.finish()
        self.backup_label = report["label"]
        for sentence in [*report["changes"], *report["warnings"]]:
            self.log.info("%s", sentence)
        for line in report_lines(report):
            self.log.info("%s", line)
        context["ti"].xcom_push(key=NOTE, value=note_of(report))
        context["outlet_events"][tree_backups(self.target, self.tree)].extra = {
            "label": report["label"],
            "repositories": report["repositories"],
        }
        return report

    def _skip_unless_changed(self, hook: TargetHook) -> None:
        from backstop.commands.trees.comparison import changes_since_newest

        try:
            changes = changes_since_newest(hook.watched_tree(self.tree))
        except BackstopError as error:
            self.log.warning("Whether anything has changed cannot be told: %s", error)
            return
        if not changes:
            raise AirflowSkipException(f"What has changed in {self.tree} is in its newest backup already")
        self.log.info("%s: %s", changes, "; ".join(changes.sample))


def woken_by_changes(context: Context) -> bool:
    """Whether changes of files have started this run, and nobody else."""
    run_type = getattr(context["dag_run"], "run_type", "")
    return str(getattr(run_type, "value", run_type)) == "asset_triggered"


def note_of(report: Mapping[str, Any]) -> str:
    """A backup's report as the note on its run: Markdown, what changed first."""
    counts = ", ".join(
        f"{report[f'{name}_files']:,} {name}"
        for name in ("new", "changed", "removed")
        if report.get(f"{name}_files")
    )
    shown = report["changes"][:_NOTED]
    lines = [f"`{report['label']}`: {counts or 'nothing changed'}", ""]
    lines += [f"- `{sentence}`" for sentence in shown]
    if len(report["changes"]) > _NOTED:
        lines.append("- … (see the log of `back_up`)")
    lines += [f"- **{sentence}**" for sentence in report["warnings"]]
    return "\n".join(lines)[:NOTE_LIMIT]
