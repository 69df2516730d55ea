"""Restore files: plan, restore beside the live ones, validate, swap."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from backstop.errors import ConfigurationError, RestoreError
from backstop.model.access import AccessRole
from backstop.operators.approval import ApproveRestoreOperator
from backstop.operators.approved import ApprovedOperator
from backstop.operators.base import BackstopOperator
from backstop.operators.choice import ANY_REPOSITORY
from backstop.operators.people import requester

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from airflow.sdk import Context

    from backstop.commands.trees.plan import RestoredTree, TreeSwapOutcome
    from backstop.commands.trees.restore import TreeRestore
    from backstop.targets.database import Consent

MODES = {
    "swap": "Restore beside, validate, then put them in the place of the live files",
    "elsewhere": "Restore and validate into a new folder; leave the live files alone",
    "dry run": "Only say what would be added, changed and deleted",
}
LATEST = "latest"


class PlanFilesRestoreOperator(BackstopOperator):
    """Choose the backup and say what restoring it would add, change and delete. Changes nothing.

    :param tree: a name below ``trees`` of the target.
    :param backup: a label; ``latest``; or a time with its zone: the newest that was finished by then.
    :param only: whole paths and globs; of those, and what is below them, alone. Empty: everything.
    :param mode: a key of :data:`MODES`; with a destination, ``swap`` means ``elsewhere``.
    :param destination: a new folder, for ``elsewhere``.
    :param repository: where to read, or ``any``: the first that has it.
    """

    template_fields = ("target", "tree", "backup", "only", "mode", "destination", "repository")
    results = ("only",)

    def __init__(
        self,
        *,
        target: str,
        tree: str,
        backup: str = LATEST,
        only: Any = "[]",
        mode: str = "swap",
        destination: str = "",
        repository: str = ANY_REPOSITORY,
        **kwargs: Any,
    ) -> None:
        super().__init__(target=target, **kwargs)
        self.tree = tree
        self.backup = backup
        self.only = only
        self.mode = mode
        self.destination = destination
        self.repository = repository

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.trees.find import find_tree_backup
        from backstop.hooks.target import TargetHook
        from backstop.operators.progress import LoggedProgress
        from backstop.settings.arguments import named_repository
        from backstop.settings.trees import tree_backup_choice

        only = _paths(self.only)
        mode, destination = self._where()
        hook = TargetHook(self.target, AccessRole.RESTORER)
        hook.tree(self.tree)
        label, at = tree_backup_choice(self.backup or LATEST)
        repositories = hook.tree_repositories(self.tree)
        if self.repository != ANY_REPOSITORY:
            repositories = [named_repository(repositories, self.repository)]
        repository, chosen = find_tree_backup(repositories, self.tree, label=label, at=at)
        restore = hook.tree_restore(self.tree, chosen.text, repository.name, LoggedProgress(self.log))
        plan = restore.plan(only=only, destination=destination).to_dict()
        for sentence in [*plan["samples"], *plan["warnings"]]:
            self.log.info("%s", sentence)
        return {
            **plan,
            "mode": mode,
            "chosen_by": requester(context),
            "database": f"files {self.tree} of {self.target}",
        }

    def _where(self) -> tuple[str, Path | None]:
        if self.mode not in MODES:
            raise ConfigurationError(
                f"mode {self.mode!r} is not possible", hint=f"choose: {', '.join(MODES)}"
            )
        destination = (self.destination or "").strip()
        if self.mode == "elsewhere" and not destination:
            raise ConfigurationError(
                "restored elsewhere, but where?", hint="name a new folder as destination"
            )
        if not destination:
            return self.mode, None
        if not destination.startswith("/"):
            raise ConfigurationError(f"{destination} is no absolute path", hint="begin it with /")
        # A folder that was named is never passed over for the live files.
        return ("dry run" if self.mode == "dry run" else "elsewhere"), Path(destination)


class StopDryRunOperator(BackstopOperator):
    """End the run here when the plan was all that was wanted.

    :param plan: the result of :class:`PlanFilesRestoreOperator`.
    """

    template_fields = ("target", "plan")
    results = ("plan",)

    def __init__(self, *, target: str, plan: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.plan = plan

    def carry_out(self, context: Context) -> None:
        if self.plan["mode"] == "dry run":
            raise AirflowSkipException(
                f"Nothing was restored; it would add {self.plan['adds']}, change {self.plan['changes']} and "
                f"delete {self.plan['deletes']}: see the log of `plan`"
            )


class ApproveFilesRestoreOperator(ApproveRestoreOperator):
    """Show the plan and wait for consent, as the tree's policy asks before live files are replaced."""

    REPLACES = "files"

    def rules(self) -> Consent:
        return rules_of(self.plan)

    def words(self, now: datetime) -> tuple[str, list[str]]:
        from backstop.operators.wording import files_statements

        plan = self.plan
        if plan["mode"] == "swap_back":
            headline = f"Swap {plan['tree']} of {plan['target']} back to the files it had before?"
        else:
            what = f"{len(plan['only'])} paths of {plan['tree']}" if plan["only"] else plan["tree"]
            headline = f"Replace {what} of {plan['target']} by backup {plan['label']}?"
        return headline, files_statements(plan, now)


class _FilesStepOperator(ApprovedOperator):
    """A step behind the approval."""

    def restore(self) -> TreeRestore:
        """What the plan is about. :raises RestoreError: it was not approved, or is used up."""
        from backstop.hooks.target import TargetHook
        from backstop.operators.progress import LoggedProgress
        from backstop.settings.arguments import utc_now

        self.require_consent(rules_of(self.plan), utc_now())
        plan = self.plan
        return TargetHook(self.target, AccessRole.RESTORER).tree_restore(
            plan["tree"], plan["label"], plan["repository"], LoggedProgress(self.log)
        )


class RestoreFilesBesideOperator(_FilesStepOperator):
    """Restore the files beside the live ones, or beside the new folder's place; nobody sees them there."""

    begins = True

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.trees.plan import TreeRestorePlan

        restored = self.restore().restore_beside(TreeRestorePlan.from_dict(self.plan))
        for sentence in (*restored.notes, *restored.not_set):
            self.log.warning("%s", sentence)
        return restored.to_dict()


class _RestoredOperator(_FilesStepOperator):
    """A step that works on what lies beside.

    :param restored: the result of :class:`RestoreFilesBesideOperator`.
    """

    template_fields = (*ApprovedOperator.template_fields, "restored")
    results = (*ApprovedOperator.results, "restored")

    def __init__(self, *, target: str, restored: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.restored = restored

    def beside(self) -> RestoredTree:
        """:raises RestoreError: nothing is: that task can be marked as successful by hand, too."""
        from backstop.commands.trees.plan import RestoredTree

        if not self.restored:
            raise RestoreError(
                f"nothing was restored beside the files of {self.target}; nothing was touched",
                hint="clear the task `restore_beside`",
            )
        return RestoredTree.from_dict(self.restored)


class ValidateFilesOperator(_RestoredOperator):
    """Read every restored file again: each hash, all metadata, and nothing besides."""

    def carry_out(self, context: Context) -> dict[str, Any]:
        restored = self.beside()
        differences = self.restore().validate(restored)
        if differences:
            raise RestoreError(
                f"what was restored of {self.plan['tree']} is not what was backed up; nothing live was "
                "touched: " + "; ".join(differences),
                hint="restore another backup, or read this one from another repository",
            )
        return {"files": restored.files, "names": restored.names, "plain_bytes": restored.plain_bytes}


class SwapFilesOperator(_RestoredOperator):
    """Put the restored files in their place and run ``after_restore``; the former ones are kept.

    When a command of ``after_restore`` fails, the former files are put back, unless ``undo_on_failure`` is
    false. Either way the task fails and its log has what the command said.

    :param validated: the result of :class:`ValidateFilesOperator`.
    """

    template_fields = (*_RestoredOperator.template_fields, "validated")
    results = (*_RestoredOperator.results, "validated")

    def __init__(self, *, target: str, validated: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.validated = validated

    def carry_out(self, context: Context) -> dict[str, Any]:
        # A new folder replaces nothing; leave to make one is not leave to replace.
        self.swapping = self.plan["destination"] is None
        restore = self.restore()
        if not self.validated:
            raise RestoreError(
                f"what was restored of {self.plan['tree']} was not validated; nothing was touched",
                hint="clear the task `validate`",
            )
        with remembering(self, self.plan, restore.settings.scratch) as remember:
            return remember(restore.swap(self.beside()))


def _paths(raw: Any) -> Sequence[str]:
    """A parameter may come as a list, or as text with one path a line."""
    paths = raw.splitlines() if isinstance(raw, str) else raw or []
    if not isinstance(paths, list) or not all(isinstance(one, str) for one in paths):
        raise ConfigurationError("`only` is no list of paths", hint='write ["/etc/app/app.conf"]')
    return [one.strip() for one in paths if one.strip()]


@contextmanager
def remembering(
    operator: BackstopOperator, plan: Mapping[str, Any], folder: Path
) -> Iterator[Callable[[TreeSwapOutcome], dict[str, Any]]]:
    """Around a swap of files: what it did is logged, and kept on this host so that it can be taken back.

    :param folder: the tree's staging folder.
    """
    from backstop.commands.trees.plan import TreeSwapError
    from backstop.commands.trees.swaps import remember_swap

    def remember(outcome: TreeSwapOutcome) -> dict[str, Any]:
        for command in outcome.commands:
            operator.log.info("%s: %s", " ".join(command.argv), command.output or "(nothing said)")
        for place in outcome.kept:
            operator.log.info("Kept: %s", place)
        if plan["destination"] is None:
            remember_swap(folder, operator.target, plan["tree"], outcome)
        return {
            "label": outcome.label,
            "swapped_at": outcome.swapped_at,
            "names": len(outcome.exchanged),
            "kept": list(outcome.kept),
            "undone": outcome.undone,
            "seconds": outcome.seconds,
        }

    try:
        yield remember
    except TreeSwapError as error:
        remember(error.outcome)
        raise


def rules_of(plan: Mapping[str, Any]) -> Consent:
    """What the tree's policy says of restores."""
    from backstop.hooks.target import TargetHook

    return TargetHook(plan["target"], AccessRole.RESTORER).tree(plan["tree"]).restore
