"""``legacy-backups``, ``verify-legacy``, ``expire-legacy``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from backstop.cli.exit_codes import DAMAGED, DONE, FAILED
from backstop.cli.legacy import LegacySession
from backstop.cli.output import human_bytes, human_time, print_json, print_table, say
from backstop.cli.terminal import confirm, declined, progress_bar
from backstop.commands.legacy import retire, verify
from backstop.errors import BackstopError
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now
from backstop.settings.proof import verify_settings
from backstop.settings.retention import retention_policies
from backstop.wiring import open_repositories, open_signer

if TYPE_CHECKING:
    import argparse

    from backstop.commands.legacy.known import Known, LegacyStock
    from backstop.commands.legacy.retire import Retirement, RetireReport
    from backstop.model.legacy import LegacyBackup
    from backstop.model.legacy_proof import LegacyProof


def legacy_backups(arguments: argparse.Namespace) -> int:
    stock = LegacySession(arguments, AccessRole.VERIFIER).stock()
    found = list(reversed(stock.found))
    if arguments.json:
        print_json({"legacy": [{**_document(one.backup), "state": one.state} for one in found]})
    elif found:
        columns = ["NAME", "KIND", "MADE", "SIZE", "STATE", "LOCATION"]
        print_table(columns, [_row(one) for one in found], right=(3,))
    else:
        print("none where it could be read" if stock.failed else "none is left")
    if stock.failed:
        return next(iter(stock.failed.values())).exit_code
    return DAMAGED if stock.unreadable else DONE


def verify_legacy(arguments: argparse.Namespace) -> int:
    session = LegacySession(arguments, AccessRole.VERIFIER)
    stock = session.stock()
    work = [stock.named(arguments.backup)] if arguments.backup else stock.unproven()[: arguments.newest]
    signer = open_signer(session.configuration, session.target_name, "proof")
    repositories = open_repositories(session.configuration, session.target_name, session.credentials)
    settings = verify_settings(session.configuration, session.target_name, repositories, server=None)
    proofs: list[LegacyProof] = []
    failures: list[BackstopError] = []
    for known in work:
        try:
            with progress_bar() as progress:
                proof = verify.verify_legacy(
                    known.place,
                    known.backup,
                    records=session.records[known.backup.repository],
                    signer=signer,
                    settings=settings,
                    clock=utc_now,
                    progress=progress,
                )
            proofs.append(proof)
        except BackstopError as error:
            failures.append(error)
            say(f"backstop: {known.backup.location} could not be judged: {error}")
    if failures and not proofs:
        raise failures[0]
    _print_proofs(proofs, stock, as_json=arguments.json)
    if any(not proof.matched for proof in proofs):
        return DAMAGED
    # Who names a file does not ask for what lies elsewhere.
    failures += [] if arguments.backup else stock.failed.values()
    return failures[0].exit_code if failures else DONE


def expire_legacy(arguments: argparse.Namespace) -> int:
    session = LegacySession(arguments, AccessRole.EXPIRER)
    stock = session.stock()
    plans = retire.plan_retirements(
        session.places,
        stock,
        records=session.records,
        policies=partial(retention_policies, session.configuration, session.target_name),
        now=utc_now(),
    )
    going = [decision for plan in plans for decision in plan.going]
    if not arguments.json:
        _print_plans(plans)
    reports: list[RetireReport] = []
    if going and not arguments.dry_run:
        size = human_bytes(sum(decision.backup.size_bytes for decision in going))
        if not confirm(f"Remove {len(going)} legacy backups ({size})?", yes=arguments.yes):
            return declined()
        reports = _carry_out(plans, session)
    kept = [sentence for report in reports for sentence in report.kept]
    for sentence in kept:
        say(f"backstop: not removed: {sentence}")
    if arguments.json:
        print_json(_expiry_document(plans, reports))
    elif reports:
        print(f"removed {sum(len(report.removed) for report in reports)} legacy backups")
    if stock.failed:
        return next(iter(stock.failed.values())).exit_code
    return FAILED if kept else DONE


def _carry_out(plans: list[Retirement], session: LegacySession) -> list[RetireReport]:
    reports = [retire.RetireReport() for _ in plans]
    try:
        for plan, report in zip(plans, reports, strict=True):
            retire.carry_out(plan, records=session.records[plan.place.kind.repository], report=report)
    except BackstopError:
        for location in [one.location for report in reports for one in report.removed]:
            say(f"backstop: removed before this failed: {location}")
        raise
    return reports


def _row(known: Known) -> list[str]:
    one = known.backup
    doubt = " or an hour before" if one.earliest_at != one.taken_at else ""
    state = known.state
    if state == "proven":
        state = f"proven {human_time(known.proofs[-1].finished_at)}"
    elif state == "failed":
        state = "FAILED its proof"
    made = f"{human_time(one.taken_at)}{doubt}"
    return [one.name, one.kind, made, human_bytes(one.size_bytes), state, one.location]


def _document(one: LegacyBackup) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "repository": one.repository,
        "location": one.location,
        "made_at": one.taken_at,
        "made_at_earliest": one.earliest_at,
        "size_bytes": one.size_bytes,
    }


def _print_proofs(proofs: list[LegacyProof], stock: LegacyStock, *, as_json: bool) -> None:
    if as_json:
        print_json({"proofs": [proof.to_dict() for proof in proofs]})
    elif not proofs:
        print(stock.without_work())
    else:
        rows = [
            [one.name, "proven" if one.matched else "FAILED", f"{one.durations['total']:.1f}", one.location]
            for one in proofs
        ]
        print_table(["NAME", "RESULT", "SECONDS", "LOCATION"], rows, right=(2,))
        for one in proofs:
            for difference in one.differences:
                print(f"{one.name}: {difference}")


def _print_plans(plans: list[Retirement]) -> None:
    rows = [
        [
            decision.backup.name,
            decision.backup.repository,
            "keep" if decision.keep else "REMOVE",
            "; ".join(decision.reasons),
        ]
        for plan in plans
        for decision in plan.decisions
    ]
    print_table(["NAME", "REPOSITORY", "DECISION", "BECAUSE"], rows)


def _expiry_document(plans: list[Retirement], reports: list[RetireReport]) -> dict[str, Any]:
    return {
        "decisions": [
            {
                **_document(decision.backup),
                "keep": decision.keep,
                "reasons": list(decision.reasons),
                "successor": str(decision.successor) if decision.successor else None,
            }
            for plan in plans
            for decision in plan.decisions
        ],
        "removed": [one.location for report in reports for one in report.removed],
        "not_removed": [sentence for report in reports for sentence in report.kept],
    }
