"""Keep a target's repositories in step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import StorageUnavailableError
from backstop.model.access import AccessRole
from backstop.operators.base import BackstopOperator, holder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context


class SyncRepositoriesOperator(BackstopOperator):
    """Copy what some repository of the target has and another one should have.

    Succeeds when it could look; what is still missing is in the result, for :class:`RequireInStepOperator`.
    May follow any task that writes backups.

    :param sources: names of the repositories to copy from; :param destinations: and into; None: all.
    :param dry_run: only say what would be copied.
    """

    template_fields = ("target", "sources", "destinations")

    def __init__(
        self,
        *,
        target: str,
        sources: Sequence[str] | None = None,
        destinations: Sequence[str] | None = None,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(target=target, **kwargs)
        self.sources = sources
        self.destinations = destinations
        self.dry_run = dry_run

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.sync.sync import sync_repositories
        from backstop.hooks.target import TargetHook
        from backstop.operators.progress import LoggedProgress
        from backstop.settings.arguments import utc_now
        from backstop.settings.sync import sync_settings

        hook = TargetHook(self.target, AccessRole.SYNC)
        repositories = hook.every_repository()
        progress = LoggedProgress(self.log)
        report = sync_repositories(
            target=self.target,
            repositories=repositories,
            signer=hook.signer("manifest"),
            settings=sync_settings(hook.configuration, self.target, repositories),
            clock=utc_now,
            holder=holder(context),
            progress=progress,
            inventory=hook.inventory(),
            sources=self.sources,
            destinations=self.destinations,
            dry_run=self.dry_run,
        )
        progress.finish()
        for note in report.notes:
            self.log.warning("%s", note)
        for one in report.repositories:
            self.log.info(
                "%s: %d backups, %d objects of WAL, %.1f MB at %.0f MB/s; %d backups are older than it keeps",
                one.name,
                len(one.copied),
                one.wal_objects,
                one.stored_bytes / 1e6,
                one.bytes_per_second / 1e6,
                one.unwanted,
            )
            for note in one.notes:
                self.log.warning("%s: %s", one.name, note)
        for sentence in report.sentences():
            self.log.warning("%s", sentence)
        return report.to_dict()


class RequireInStepOperator(BackstopOperator):
    """Fail, by name, for everything that a repository should have and has not.

    A task of its own, so that what could be copied is neither copied again nor hidden.

    :param report: the result of :class:`SyncRepositoriesOperator`.
    """

    template_fields = ("target", "report")
    results = ("report",)

    def __init__(self, *, target: str, report: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.report = report

    def carry_out(self, context: Context) -> dict[str, bool]:
        behind = [one for one in self.report["repositories"] if not one["complete"]]
        if behind:
            sentences = [
                f"{one['repository']}: {one['error']}"
                if one["error"]
                else f"{one['repository']} lacks {what}"
                for one in behind
                for what in (one["lacks"] or [""])
            ]
            raise _NotInStepError(
                f"the repositories of {self.target} are not in step: {'; '.join(sentences)}",
                hint="mend what is named; the next run copies what is missing",
            )
        return {one["repository"]: True for one in self.report["repositories"]}


class _NotInStepError(StorageUnavailableError):
    """The next run copies what time heals: this one fails at once."""

    retryable = False
