"""Expire backups: plan, show, have much of it approved, carry out, report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from backstop.errors import BackstopError, ExpiryRefusedError, IntegrityError, NotFoundError
from backstop.model.access import AccessRole
from backstop.operators.approval import NOT_REQUIRED, require_approval
from backstop.operators.base import BackstopOperator, holder
from backstop.operators.expiry_wording import plan_note, report_note
from backstop.operators.note import NOTE
from backstop.operators.people import requester

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from backstop.model.backup import BackupLabel
    from backstop.targets.expiry import Expiry

EXPIRE = "expire"
DRY_RUN = "dry run"


class PlanExpiryOperator(BackstopOperator):
    """Decide what one repository keeps, and say why. Removes nothing.

    Where backups are locked, what stays beyond its time is locked on, which must not wait for an approval.

    :param repository: its name in targets.yaml.
    :param accept: labels whose drop in rows or files is meant.
    :param dry_run: change no lock either.
    """

    template_fields = ("target", "repository", "accept", "dry_run")
    results = ("accept", "dry_run")

    def __init__(
        self, *, target: str, repository: str, accept: Any = "[]", dry_run: Any = "true", **kwargs: Any
    ) -> None:
        super().__init__(target=target, **kwargs)
        self.repository = repository
        self.accept = accept
        self.dry_run = dry_run

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.expiry.plan import plan_expiry
        from backstop.commands.expiry.wording import plan_lines
        from backstop.commands.locking import renew_locks
        from backstop.hooks.target import TargetHook
        from backstop.repository.twins import refuse_twins
        from backstop.settings.arguments import utc_now
        from backstop.settings.expiry import expiry_settings

        self.take_results()
        hook = TargetHook(self.target, AccessRole.EXPIRER)
        now = utc_now()
        accepted = labels_of(self.accept)
        settings = expiry_settings(hook.configuration, self.target, self.repository, accepted=accepted)
        repository = hook.repository(self.repository)
        refuse_twins(repository, hook.others_of(repository))
        made = plan_expiry(repository, settings=settings, now=now)
        if self.dry_run is False:
            renewed, failed = renew_locks(repository, made.stays, now=now)
            if renewed:
                self.log.info("Locked on: %s", ", ".join(label.text for label in renewed))
            for label, error in failed.items():
                self.log.warning("The lock of %s could not be extended: %s", label, error)
        plan = made.to_dict()
        for line in plan_lines(plan, now):
            self.log.info("%s", line)
        return plan | {"has": [label.text for label in accepted if repository.catalog.has(label)]}


class ShowExpiryOperator(BackstopOperator):
    """Put the repositories' plans together: what is approved and carried out is exactly this.

    :param plans: the results of :class:`PlanExpiryOperator`.
    """

    template_fields = ("target", "plans", "accept", "dry_run")
    results = ("plans", "accept", "dry_run")

    def __init__(
        self, *, target: str, plans: Any, accept: Any = "[]", dry_run: Any = "false", **kwargs: Any
    ) -> None:
        super().__init__(target=target, **kwargs)
        self.plans = plans
        self.accept = accept
        self.dry_run = dry_run

    def carry_out(self, context: Context) -> dict[str, Any]:
        plans = as_list(self.plans)
        if not plans:
            raise ExpiryRefusedError(
                f"no repository of {self.target} could be planned; nothing was removed",
                hint="see the logs of `plan`",
            )
        context["ti"].xcom_push(key=NOTE, value=plan_note(plans))
        accepted = [label.text for label in labels_of(self.accept)]
        unknown = sorted(set(accepted).difference(*(plan["has"] for plan in plans)))
        if unknown:
            raise NotFoundError(
                f"no backup {', '.join(unknown)} of {self.target}: nothing to accept; nothing was removed",
                hint="trigger it again with labels as the logs of `plan` show them",
            )
        return {
            "target": self.target,
            # The API takes null, 0 and "" too: whoever meant to look must not remove.
            "mode": EXPIRE if self.dry_run is False else DRY_RUN,
            "chosen_by": requester(context),
            "accept": accepted,
            "repositories": {plan["repository"]: _what_goes(plan) for plan in plans},
        }


class StopExpiryDryRunOperator(BackstopOperator):
    """End the run here when the plan was all that was wanted.

    :param plan: the result of :class:`ShowExpiryOperator`.
    """

    template_fields = ("target", "plan")
    results = ("plan",)

    def __init__(self, *, target: str, plan: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.plan = plan

    def carry_out(self, context: Context) -> None:
        if planned(self.plan)["mode"] != EXPIRE:
            raise AirflowSkipException("Nothing was removed: see the logs of `plan`")


class CarryOutExpiryOperator(BackstopOperator):
    """Remove from one repository what the plan lets go, deciding once more, and never more than was shown.

    Can be repeated after any crash: what an earlier try began is finished.

    :param plan: the result of :class:`ShowExpiryOperator`.
    :param approval: the result of :class:`~backstop.operators.expiry_approval.ApproveExpiryOperator`.
    """

    template_fields = ("target", "repository", "plan", "approval")
    results = ("plan", "approval")

    def __init__(self, *, target: str, repository: str, plan: Any, approval: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.repository = repository
        self.plan = plan
        self.approval = approval

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.expiry.carry_out import carry_out
        from backstop.commands.expiry.plan import plan_expiry
        from backstop.commands.expiry.report import ExpiryReport
        from backstop.hooks.target import TargetHook
        from backstop.operators.progress import LoggedProgress
        from backstop.repository.twins import refuse_twins
        from backstop.settings.arguments import utc_now
        from backstop.settings.expiry import expiry_settings

        self.take_results()
        hook = TargetHook(self.target, AccessRole.EXPIRER)
        shown = self._shown(hook.target.expiry)
        accepted = labels_of(self.plan["accept"])
        repository = hook.repository(self.repository)
        settings = expiry_settings(
            hook.configuration, self.target, self.repository, accepted=accepted, holder=holder(context)
        )
        refuse_twins(repository, hook.others_of(repository))
        plan = plan_expiry(repository, settings=settings, now=utc_now())
        # What has come of age since waits for the next run: it was shown to nobody.
        plan = plan.only(set(labels_of(shown["expires"])), most_wal=shown["wal_objects"])
        if accepted:
            self._remember(accepted, context)
        progress = LoggedProgress(self.log)
        report = ExpiryReport(repository.name, self.target)
        try:
            carry_out(
                plan,
                repository,
                inventory=hook.inventory(),
                clock=utc_now,
                progress=progress,
                report=report,
            )
        except BackstopError:
            self.log.info("Until it failed: %s", report_note([report.to_dict()]))
            raise
        progress.finish()
        return report.to_dict()

    def _shown(self, rules: Expiry) -> Mapping[str, Any]:
        """What was shown, and approved where policy asks for it, of this repository."""
        from backstop.settings.arguments import utc_now

        if planned(self.plan)["mode"] != EXPIRE:
            # The task that ends a dry run can be marked as successful by hand.
            raise ExpiryRefusedError(
                "a dry run was asked for; nothing was removed", hint="trigger a run that is none"
            )
        require_approval(self.plan, self.approval, rules=rules, now=utc_now(), begins=True)
        shown = self.plan["repositories"].get(self.repository)
        if not isinstance(shown, Mapping):
            raise ExpiryRefusedError(
                f"{self.repository} could not be planned; nothing was removed from it",
                hint="see its log of `plan`; the next run does it",
            )
        return shown

    def _remember(self, accepted: Sequence[BackupLabel], context: Context) -> None:
        from backstop.hooks.target import TargetHook
        from backstop.repository.acceptances import Acceptances
        from backstop.settings.arguments import utc_now

        hook = TargetHook(self.target, AccessRole.VERIFIER)
        repository = hook.repository(self.repository)
        who = self.plan["chosen_by"] or "Airflow"
        if self.approval["approved_by"] != NOT_REQUIRED:
            who = f"{who}, approved by {self.approval['approved_by']}"
        for label in accepted:
            if repository.catalog.has(label):
                Acceptances(repository).accept(
                    label,
                    who=who,
                    now=utc_now(),
                    signer=hook.signer("proof"),
                )


class ReportExpiryOperator(BackstopOperator):
    """Say how much was freed, and fail, by name, for each repository where it was not carried out, or
    where something cannot be believed and so keeps its kind of backup from expiring.

    :param plan: the result of :class:`ShowExpiryOperator`.
    :param reports: the results of :class:`CarryOutExpiryOperator`.
    """

    template_fields = ("target", "plan", "reports")
    results = ("plan", "reports")

    def __init__(
        self, *, target: str, plan: Any, reports: Any, repositories: Sequence[str], **kwargs: Any
    ) -> None:
        super().__init__(target=target, **kwargs)
        self.plan = plan
        self.reports = reports
        self.repositories = list(repositories)

    def carry_out(self, context: Context) -> dict[str, Any]:
        reports = {report["repository"]: report for report in as_list(self.reports)}
        note = report_note(list(reports.values()))
        context["ti"].xcom_push(key=NOTE, value=note)
        self.log.info("%s", note)
        unreadable = [
            f"{name}: {sentence}" for name, report in reports.items() for sentence in report["unreadable"]
        ]
        for sentence in unreadable:
            self.log.error("Not to be trusted in %s", sentence)
        missing = [name for name in self.repositories if name not in reports]
        if missing:
            raise ExpiryRefusedError(
                f"expiry was not carried out to its end in {', '.join(missing)}",
                hint="see their logs of `carry_out`; the next run finishes what was begun",
            )
        if unreadable:
            raise IntegrityError(
                f"{len(unreadable)} documents cannot be believed: {'; '.join(unreadable[:3])}",
                hint="nothing of their kind goes until they are mended: see the log",
            )
        return {"freed_bytes": {name: report["freed_bytes"] for name, report in reports.items()}}


def labels_of(texts: Any) -> list[BackupLabel]:
    """What a form's list of labels names. :raises ConfigurationError: one is no label."""
    from backstop.settings.arguments import parse_label

    return [parse_label(str(text).strip()) for text in texts or () if str(text).strip()]


def planned(plan: Any) -> Mapping[str, Any]:
    """The result of :class:`ShowExpiryOperator`.

    :raises ExpiryRefusedError: there is none, as when that task was marked as successful by hand.
    """
    if not isinstance(plan, Mapping):
        raise ExpiryRefusedError(
            "`show_plan` has no result, so nobody saw a plan; nothing was removed",
            hint="clear `show_plan`, or trigger a new run",
        )
    return plan


def as_list(results: Any) -> list[Mapping[str, Any]]:
    """Results of a mapped task, of which Airflow hands a single one on without a list around it."""
    given = [results] if isinstance(results, Mapping) else results or []
    return [one for one in given if isinstance(one, Mapping)]


def _what_goes(plan: Mapping[str, Any]) -> dict[str, Any]:
    names = ("expires", "total", "wal_objects", "freed_bytes", "share_of_backups", "share_of_bytes")
    return {name: plan[name] for name in names} | {"remarks": list(plan["blocked"])}
