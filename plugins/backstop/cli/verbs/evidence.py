"""``evidence verify``, ``export``, ``list``, ``show`` and ``catch-up``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.cli.exit_codes import DAMAGED, DONE, PARTIAL
from backstop.cli.output import human_time, print_fields, print_json, print_table, say
from backstop.cli.session import Session, chosen_target
from backstop.commands.evidence.verify import verify_evidence
from backstop.credentials import default_credentials
from backstop.errors import BackstopError, ConfigurationError, IntegrityError, NotFoundError
from backstop.model.access import AccessRole
from backstop.repository.evidence import evidence_of
from backstop.settings.arguments import parse_period_begin, parse_period_end, utc_now
from backstop.targets import load_targets
from backstop.wiring import open_inventory, open_what_can_be

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from backstop.commands.evidence.verify import EvidenceVerdict
    from backstop.credentials import CredentialSource
    from backstop.model.evidence import EvidenceRecord
    from backstop.repository.evidence import EvidenceChain
    from backstop.repository.inventory import Inventory
    from backstop.targets import Configuration


def verify(arguments: argparse.Namespace) -> int:
    """A repository that does not answer is named, and the others are judged; faults weigh more than it."""
    from backstop.commands.evidence.export import verification_document

    configuration = load_targets(arguments.targets)
    named = [chosen_target(configuration, arguments.target)] if arguments.target else []
    targets = named or sorted(configuration.targets)
    if arguments.head is not None and len(targets) > 1:
        raise ConfigurationError(
            "--head is of one target", hint=f"add --target with one of: {', '.join(targets)}"
        )
    verdicts = [
        _verdict(configuration, name, default_credentials(AccessRole.AUDITOR), arguments.head)
        for name in targets
    ]
    for verdict in verdicts:
        _say(verdict)
    if arguments.json:
        now = utc_now()
        print_json({"targets": {one.target: verification_document(one, at=now) for one in verdicts}})
    else:
        _print(verdicts)
    if not all(verdict.sound for verdict in verdicts):
        return DAMAGED
    unread = [error for verdict in verdicts for error in verdict.unread.values()]
    return unread[0].exit_code if unread else DONE


def export(arguments: argparse.Namespace) -> int:
    """What is wrong with the evidence is in the bundle and on its cover, and makes the exit code 4."""
    from backstop.commands.evidence.export import export_evidence
    from backstop.reports import render_cover

    session = Session(arguments, AccessRole.AUDITOR)
    now = utc_now()
    begins_at = parse_period_begin(arguments.begins)
    ends_at = parse_period_end(arguments.ends) if arguments.ends else now
    if begins_at >= ends_at:
        raise ConfigurationError("the period ends before it begins", hint="exchange --from and --to")
    verdict = _verdict(session.configuration, session.target_name, session.credentials, arguments.head)
    _say(verdict)
    report = export_evidence(
        verdict, begins_at=begins_at, ends_at=ends_at, out=arguments.out, cover=render_cover, now=now
    )
    for sentence in report.left_out:
        say(f"backstop: {sentence}")
    if arguments.json:
        print_json(
            {
                "left_out": list(report.left_out),
                "out": str(report.out),
                "records": dict(report.records),
                "reports": report.reports,
                "sound": verdict.sound and not verdict.unread,
            }
        )
    else:
        count = sum(report.records.values())
        print(f"{report.out}: {count} records and {report.reports} reports; begin with index.html")
    if not verdict.sound or report.left_out:
        return DAMAGED
    return PARTIAL if verdict.unread else DONE


def list_evidence(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.AUDITOR)
    names = [arguments.repository] if arguments.repository else None
    opened, failed = open_what_can_be(session.configuration, session.target_name, session.credentials, names)
    found: list[tuple[str, EvidenceRecord]] = []
    for repository in opened:
        try:
            chain = evidence_of(repository)
            found += [
                (repository.name, record)
                for record in chain.believed()
                if arguments.kind in (None, record.kind.value)
            ]
        except BackstopError as error:
            failed[repository.name] = error
    for name, failure in failed.items():
        say(f"backstop: the evidence in {name} was not read: {failure}")
    found.sort(key=lambda one: (one[1].recorded_at, one[1].number, one[0]), reverse=True)
    if arguments.json:
        print_json({"records": [_summary(name, record) for name, record in found]})
    elif found:
        print_table(
            ["NUMBER", "REPOSITORY", "KIND", "SUBJECT", "HAPPENED", "RECORDED"],
            [
                [
                    str(record.number),
                    name,
                    record.kind.value,
                    record.subject,
                    human_time(record.happened_at),
                    human_time(record.recorded_at),
                ]
                for name, record in found
            ],
            right=(0,),
        )
    elif not failed:
        print("no evidence")
    return next(iter(failed.values())).exit_code if failed else DONE


def show(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.AUDITOR)
    name, chain, record = _find(session, arguments)
    page = chain.report(record) if arguments.report is not None else None
    if page is not None:
        _write(arguments.report, page)
    if arguments.json:
        print_json({"repository": name, "record": record.to_dict()})
        return DONE
    signature = record.signature
    print_fields(
        [
            ("record", f"{record.number} in {name}"),
            ("kind", record.kind.value),
            ("subject", record.subject),
            ("happened", human_time(record.happened_at)),
            ("recorded", human_time(record.recorded_at)),
            ("signed by", f"{signature.key} ({signature.algorithm})" if signature else "nobody"),
            ("sha256", record.sha256),
            ("previous", record.previous_sha256),
            ("report", record.report_name or "none"),
            ("written into", str(arguments.report) if arguments.report else "-"),
        ]
    )
    return DONE


def catch_up_with_proofs(arguments: argparse.Namespace) -> int:
    from backstop.commands.evidence.catch_up import catch_up

    session = Session(arguments, AccessRole.VERIFIER)
    names = [arguments.repository] if arguments.repository else None
    if names is not None:
        session.repository(names[0])  # says which there are
    every, failed = open_what_can_be(session.configuration, session.target_name, session.credentials)
    added: dict[str, list[str]] = {}
    told: list[str] = []
    for repository in [one for one in every if names is None or one.name in names]:
        others = [one for one in every if one is not repository]
        try:
            added[repository.name], sentences = catch_up(repository, others=others, now=utc_now())
            told += sentences
        except BackstopError as error:
            failed[repository.name] = error
    for name, failure in failed.items():
        say(f"backstop: nothing was added in {name}: {failure}")
    if arguments.json:
        print_json({"added": added, "problems": told})
    else:
        for name, labels in added.items():
            print(f"{name}: {', '.join(labels) if labels else 'nothing to add'}")
    if failed:
        return next(iter(failed.values())).exit_code
    return PARTIAL if told else DONE


def _verdict(
    configuration: Configuration, target: str, credentials: CredentialSource, head: Path | None
) -> EvidenceVerdict:
    from dataclasses import replace

    from backstop.commands.evidence.heads import read_kept_heads

    kept = read_kept_heads(head, target=target) if head is not None else None
    opened, failed = open_what_can_be(configuration, target, credentials)
    inventory, remarks = _inventory(configuration, credentials)
    verdict = verify_evidence(opened, target=target, inventory=inventory, kept=kept, now=utc_now())
    return replace(verdict, unread={**failed, **verdict.unread}, remarks=(*remarks, *verdict.remarks))


def _inventory(
    configuration: Configuration, credentials: CredentialSource
) -> tuple[Inventory | None, list[str]]:
    try:
        return open_inventory(configuration, credentials), []
    except BackstopError as error:
        return None, [f"what the inventory remembers was not looked at: {error.message}"]


def _find(session: Session, arguments: argparse.Namespace) -> tuple[str, EvidenceChain, EvidenceRecord]:
    failures: list[BackstopError] = []
    for name in session.repository_names(arguments.repository):
        try:
            chain = evidence_of(session.repository(name))
            if arguments.number is not None:
                return name, chain, chain.read(arguments.number)
            of_it = [one for one in chain.believed() if one.subject == arguments.subject]
            if of_it:
                return name, chain, of_it[-1]
        except NotFoundError:
            continue
        except BackstopError as error:
            if isinstance(error, IntegrityError):
                raise
            failures.append(error)
            say(f"backstop: repository {name} is passed over: {error.message}")
    if failures:
        raise failures[0]
    what = f"number {arguments.number}" if arguments.number is not None else f"of {arguments.subject}"
    raise NotFoundError(
        f"there is no record of evidence {what} for {session.target_name}",
        hint=f"see `python -m backstop evidence list --target {session.target_name}`",
    )


def _write(path: Path, page: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(page)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}", hint="name a new file in a folder of yours"
        ) from error


def _summary(name: str, record: EvidenceRecord) -> dict[str, Any]:
    return {
        "happened_at": record.happened_at,
        "kind": record.kind.value,
        "number": record.number,
        "recorded_at": record.recorded_at,
        "report": record.report_name,
        "repository": name,
        "sha256": record.sha256,
        "subject": record.subject,
    }


def _say(verdict: EvidenceVerdict) -> None:
    for sentence in verdict.sentences():
        say(f"backstop: {verdict.target}: {sentence}")
    for name, error in verdict.unread.items():
        say(f"backstop: the evidence of {verdict.target} in {name} was not judged: {error}")
    for remark in verdict.remarks:
        say(f"backstop: {verdict.target}: {remark}")


def _print(verdicts: list[EvidenceVerdict]) -> None:
    rows = [
        [
            verdict.target,
            chain.repository.name,
            str(len(chain.records)),
            f"{chain.head.number} {chain.head.sha256[:16]}" if chain.head else "-",
            str(len(chain.faults)),
            "; ".join(chain.remarks) or "-",
        ]
        for verdict in verdicts
        for chain in verdict.chains
    ]
    if rows:
        print_table(["TARGET", "REPOSITORY", "RECORDS", "NEWEST", "FAULTS", "REMARKS"], rows, right=(2, 4))
