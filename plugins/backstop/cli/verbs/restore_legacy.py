"""``restore-legacy``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.legacy import LegacySession
from backstop.cli.output import human_bytes, human_time, print_fields, print_json, say
from backstop.cli.terminal import confirm, declined, progress_bar
from backstop.commands.database.swap import check_swap_in, swap_in
from backstop.commands.legacy.check import check_archive
from backstop.commands.legacy.restore import LegacyDatabaseRestore, require_proven_bytes, restore_archive
from backstop.errors import ConfigurationError
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now
from backstop.settings.database import application_commands, restore_settings
from backstop.wiring import cluster_connection, open_repositories

if TYPE_CHECKING:
    import argparse

    from backstop.commands.legacy.known import Known
    from backstop.commands.legacy.restore import LegacyPlan


def restore_legacy(arguments: argparse.Namespace) -> int:
    session = LegacySession(arguments, AccessRole.RESTORER)
    known = session.stock().named(arguments.backup)
    if known.backup.tree:
        return _files(known, arguments)
    if arguments.into:
        raise ConfigurationError(
            f"{known.backup.name} is a dump of a database", hint="use --into-database, or --swap"
        )
    return _database(session, known, arguments)


def _files(known: Known, arguments: argparse.Namespace) -> int:
    if arguments.into is None and not arguments.dry_run:
        raise ConfigurationError("where to?", hint="add --into with a new folder; move the files from there")
    if arguments.into_database or arguments.swap:
        raise ConfigurationError(f"{known.backup.name} is an archive of files", hint="use --into")
    if arguments.dry_run:
        with progress_bar() as progress:
            checked = check_archive(known.place, known.backup, progress)
            require_proven_bytes(checked, known.backup, known.proofs)
        document = {"files": checked.files, "bytes": checked.bytes, "sha256": checked.sha256}
        if arguments.json:
            print_json({"archive": document})
        else:
            print_fields([*_about(known), ("content", _content(checked.files, checked.bytes))])
        return 0
    destination = arguments.into.absolute()
    with progress_bar() as progress:
        restored = restore_archive(
            known.place, known.backup, destination, progress=progress, proofs=known.proofs
        )
    done = restored.done
    for sentence in done.not_made:
        say(f"backstop: {sentence}")
    if not done.owners_kept:
        say("backstop: only root may give files to others: they all belong to this user")
    if arguments.json:
        print_json({"into": str(destination), "files": done.files, "bytes": done.bytes, "links": done.links})
    else:
        print_fields(
            [*_about(known), ("restored", _content(done.files, done.bytes)), ("into", str(destination))]
        )
    return 0


def _database(session: LegacySession, known: Known, arguments: argparse.Namespace) -> int:
    configuration, target, credentials = session.configuration, session.target_name, session.credentials
    reader = cluster_connection(configuration, target, credentials)
    server = cluster_connection(configuration, target, credentials, for_restore=True)
    repositories = open_repositories(configuration, target, credentials)
    settings = restore_settings(configuration, target, repositories, reader=reader)
    with progress_bar() as progress:
        restore = LegacyDatabaseRestore(
            known.place, known.backup, server, settings, progress, proofs=known.proofs
        )
        plan = restore.plan(arguments.into_database)
    if not arguments.json:
        _print_plan(known, plan)
    if arguments.dry_run:
        if arguments.json:
            print_json({"plan": _document(plan)})
        return 0
    if not confirm(_question(plan, swap=arguments.swap), yes=arguments.yes):
        return declined()
    accept = settings.accept_logical_slots
    with progress_bar() as progress:
        restore.progress = progress
        report = restore.restore_beside(plan)
    for sentence in report["notes"]:
        say(f"backstop: {sentence}")
    result = {"plan": _document(plan), "restored": report}
    fields = [
        ("restored", f"{plan.rows} rows in {plan.tables} tables, as many as in the dump"),
        ("into", plan.beside),
    ]
    if arguments.swap:
        names = restore.exchange(plan, oid=report["database_oid"], clock=utc_now)
        check_swap_in(names, server=server, accept_logical_slots=accept, beside_oid=names.beside_oid)
        outcome = swap_in(
            names,
            server=server,
            application=application_commands(configuration, target),
            accept_logical_slots=accept,
            beside_oid=names.beside_oid,
        )
        result["swap"] = outcome.to_dict()
        fields = [
            *fields[:1],
            ("live", outcome.live),
            ("kept", outcome.kept or "nothing: there was none before"),
        ]
    if arguments.json:
        print_json(result)
    else:
        print_fields(fields)
    return 0


def _about(known: Known) -> list[tuple[str, str]]:
    one = known.backup
    proven = f"proven {human_time(known.proofs[-1].finished_at)}" if known.state == "proven" else "NOT PROVEN"
    return [("backup", f"{one.location}, {proven}"), ("made", human_time(one.taken_at))]


def _content(files: int, size_bytes: int) -> str:
    return f"{files} files, {human_bytes(size_bytes)}"


def _print_plan(known: Known, plan: LegacyPlan) -> None:
    like = f"like {plan.database}" if plan.live_exists else f"{plan.database} does not exist"
    print_fields(
        [
            *_about(known),
            ("content", f"{plan.rows} rows in {plan.tables} tables, of PostgreSQL {plan.server_major}"),
            ("into", f"{plan.beside}, owned by {plan.owner}, {like}"),
            ("warning", "compared are the numbers of rows: a plain dump has no fingerprint"),
        ]
    )


def _question(plan: LegacyPlan, *, swap: bool) -> str:
    beside = f"Restore {plan.backup.name} into {plan.beside}"
    return f"{beside}, then put it in the place of {plan.database}?" if swap else f"{beside}?"


def _document(plan: LegacyPlan) -> dict[str, object]:
    return {
        "backup": plan.backup.name,
        "location": plan.backup.location,
        "database": plan.database,
        "beside": plan.beside,
        "owner": plan.owner,
        "live_exists": plan.live_exists,
        "server_major": plan.server_major,
        "tables": plan.tables,
        "rows": plan.rows,
    }
