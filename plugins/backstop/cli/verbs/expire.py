"""``expire``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.cli.exit_codes import DAMAGED, DONE
from backstop.cli.output import human_bytes, print_json, print_table, say
from backstop.cli.session import Session, local_user
from backstop.cli.terminal import confirm, declined, progress_bar
from backstop.commands.expiry.carry_out import carry_out
from backstop.commands.expiry.plan import ExpiryPlan, plan_expiry
from backstop.commands.expiry.report import ExpiryReport
from backstop.commands.expiry.wording import COLUMNS, plan_remarks, plan_rows
from backstop.credentials import in_role
from backstop.errors import BackstopError, NotFoundError
from backstop.model.access import AccessRole
from backstop.repository.acceptances import Acceptances
from backstop.repository.twins import refuse_twins
from backstop.settings.arguments import parse_label, utc_now
from backstop.settings.expiry import expiry_settings
from backstop.wiring import open_inventory, open_repository, open_signer, others_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from backstop.model.backup import BackupLabel
    from backstop.repository.catalog import Repository


def expire(arguments: argparse.Namespace) -> int:
    """A repository that fails is named, and the others go on; the exit code is its error's.

    Otherwise that of an IntegrityError where something cannot be believed, and keeps its kind from expiring.
    """
    session = Session(arguments, AccessRole.EXPIRER)
    accepted = [parse_label(text) for text in arguments.accept]
    planned, failures = _plan(session, accepted, only=arguments.repository)
    if not planned:
        raise next(iter(failures.values()))
    _require_known(accepted, [repository for repository, _ in planned])
    plans = [plan.to_dict() for _, plan in planned]
    if not arguments.json:
        for plan in plans:
            _print_plan(plan)
    reports: list[dict[str, Any]] | None = None
    if not arguments.dry_run and (accepted or any(_changes(plan) for _, plan in planned)):
        count = sum(len(plan.labels) for _, plan in planned)
        if not confirm(f"Remove {count} backups from {len(planned)} repositories?", yes=arguments.yes):
            return declined()
        _accept(session, accepted, [repository for repository, _ in planned], who=arguments.who)
        reports = _carry_out(session, planned, accepted, failures)
    elif not arguments.dry_run and any(repository.storage.lock_rule for repository, _ in planned):
        reports = _carry_out(session, planned, accepted, failures)  # nothing goes: it locks on what stays
    _print_outcome(plans, reports, as_json=arguments.json)
    for name, error in failures.items():
        say(f"backstop: nothing more was removed from {name}: {error}")
    if failures:
        return next(iter(failures.values())).exit_code
    unreadable = [f"{plan['repository']}: {sentence}" for plan in plans for sentence in plan["unreadable"]]
    for sentence in unreadable:
        say(f"backstop: not to be trusted in {sentence}")
    return DAMAGED if unreadable else DONE


def _plan(
    session: Session, accepted: Sequence[BackupLabel], *, only: str | None
) -> tuple[list[tuple[Repository, ExpiryPlan]], dict[str, BackstopError]]:
    planned: list[tuple[Repository, ExpiryPlan]] = []
    failures: dict[str, BackstopError] = {}
    for name in session.repository_names(only):
        try:
            repository = open_repository(
                session.configuration, session.target_name, name, session.credentials
            )
            planned.append((repository, _decide(session, repository, accepted)))
        except BackstopError as error:
            failures[name] = error
    return planned, failures


def _decide(session: Session, repository: Repository, accepted: Sequence[BackupLabel]) -> ExpiryPlan:
    settings = expiry_settings(
        session.configuration,
        session.target_name,
        repository.name,
        accepted=accepted,
        holder=session.holder,
    )
    others = others_of(session.configuration, session.target_name, repository, session.credentials)
    refuse_twins(repository, others)
    return plan_expiry(repository, settings=settings, now=utc_now())


def _changes(plan: ExpiryPlan) -> bool:
    return bool(plan.doomed or plan.begun or plan.wal.objects)


def _carry_out(
    session: Session,
    planned: Sequence[tuple[Repository, ExpiryPlan]],
    accepted: Sequence[BackupLabel],
    failures: dict[str, BackstopError],
) -> list[dict[str, Any]]:
    inventory = open_inventory(session.configuration, session.credentials)
    reports = []
    with progress_bar() as progress:
        for repository, shown in planned:
            report = ExpiryReport(repository.name, session.target_name)
            try:
                # The answer may have taken a while: decided once more, and never more than was shown.
                plan = _decide(session, repository, accepted)
                plan = plan.only(shown.labels, most_wal=shown.wal.objects)
                carry_out(
                    plan,
                    repository,
                    inventory=inventory,
                    clock=utc_now,
                    progress=progress,
                    report=report,
                )
            except BackstopError as error:
                failures[repository.name] = error
            if repository.name not in failures or report.expired or report.freed_in_all:
                reports.append(report.to_dict())
    return reports


def _accept(
    session: Session, accepted: Sequence[BackupLabel], repositories: Sequence[Repository], *, who: str | None
) -> None:
    if not accepted:
        return
    signer = open_signer(session.configuration, session.target_name, "proof")
    # Signed by the verifier, and put by it: who deletes cannot say that what is deleted was accepted as lost.
    verifier = in_role(session.credentials, AccessRole.VERIFIER)
    for name in [repository.name for repository in repositories]:
        repository = open_repository(session.configuration, session.target_name, name, verifier)
        for label in accepted:
            if repository.catalog.has(label):
                Acceptances(repository).accept(label, who=who or local_user(), now=utc_now(), signer=signer)


def _require_known(accepted: Sequence[BackupLabel], repositories: Sequence[Repository]) -> None:
    for label in accepted:
        if not any(repository.catalog.has(label) for repository in repositories):
            raise NotFoundError(f"no backup {label}: nothing to accept", hint="see `python -m backstop list`")


def _print_plan(plan: dict[str, Any]) -> None:
    print(f"{plan['repository']}:")
    if plan["backups"]:
        print_table(COLUMNS, plan_rows(plan, utc_now()))
    for sentence in plan_remarks(plan):
        print(sentence)


def _print_outcome(
    plans: list[dict[str, Any]], reports: list[dict[str, Any]] | None, *, as_json: bool
) -> None:
    if as_json:
        print_json({"plans": plans, "reports": reports})
        return
    for report in reports or ():
        print(
            f"{report['repository']}: {report['expired_total']} backups removed, "
            f"{human_bytes(report['freed_bytes'])} freed"
        )
        for one in report["kept"]:
            print(f"  {one['label']} stays: {one['because']}")
        if report["renewed"]:
            print(f"  {len(report['renewed'])} backups locked on")
        for one in report["locked"]:
            print(f"  {one['objects']} objects of {one['what']} are locked")
        for sentence in report["waiting"]:
            print(f"  {sentence}")
