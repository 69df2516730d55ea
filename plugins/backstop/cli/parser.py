"""Verbs, flags and help. Loads nothing but argparse, so that ``--help`` is there at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from backstop import __version__
from backstop.cli.arguments import LABEL_HELP, escrow_key, repository, target, verb
from backstop.cli.disaster_arguments import add_disaster_verb
from backstop.cli.drill_arguments import add_drill_verbs
from backstop.cli.evidence_arguments import add_evidence_verb
from backstop.cli.exit_codes import EXIT_CODES
from backstop.cli.file_arguments import add_file_verbs
from backstop.cli.key_arguments import add_key_verbs
from backstop.cli.legacy_arguments import add_legacy_verbs
from backstop.cli.retention_arguments import add_retention_verbs
from backstop.cli.status_arguments import add_status_verb
from backstop.cli.sync_arguments import add_sync_verb
from backstop.cli.upkeep_arguments import add_upkeep_verbs


def build_parser() -> argparse.ArgumentParser:
    """The parser; ``run`` in its result names the verb's function."""
    parser = argparse.ArgumentParser(
        prog="python -m backstop",
        description="Backs PostgreSQL databases up, proves the backups by restoring them, and restores.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"backstop {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="<verb>", required=True)
    _back_up_database(verbs)
    _take_base_backup(verbs)
    _archive_wal(verbs)
    add_status_verb(verbs)
    _list(verbs)
    _show(verbs)
    _recovery_windows(verbs)
    _verify(verbs)
    _restore_database(verbs)
    _restore_to_point_in_time(verbs)
    _rescue_tables(verbs)
    add_disaster_verb(verbs)
    add_file_verbs(verbs)
    add_retention_verbs(verbs)
    add_sync_verb(verbs)
    add_drill_verbs(verbs)
    add_upkeep_verbs(verbs)
    add_legacy_verbs(verbs)
    add_evidence_verb(verbs)
    _decrypt(verbs)
    _check_targets(verbs)
    _pools(verbs)
    _check_server(verbs)
    _init_keys(verbs)
    add_key_verbs(verbs)
    _inventory(verbs)
    return parser


def _back_up_database(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Back a database up to every repository, from one read."
    parser = verb(verbs, "back-up-database", "backup:back_up_database", text)
    target(parser)
    parser.add_argument(
        "--new-cluster",
        metavar="SYSTEM_ID",
        help="accept that a database of this cluster takes the place of the one whose backups are there",
    )
    parser.add_argument(
        "--new-database",
        metavar="NAME",
        help="accept that the database of this name takes the place of the one whose backups are there",
    )


def _take_base_backup(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Copy the whole PostgreSQL server into every repository, for recovery to any later moment."
    parser = verb(verbs, "take-base-backup", "base_backup:take_base_backup", text)
    target(parser)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--full", dest="kind", action="store_const", const="full", help="full (default: what is due)"
    )
    kind.add_argument(
        "--incremental",
        dest="kind",
        action="store_const",
        const="incr",
        help="what has changed since the newest one (PostgreSQL 17 and later)",
    )
    parser.add_argument(
        "--new-cluster",
        metavar="SYSTEM_ID",
        help="accept that this cluster takes the place of the one whose backups are there",
    )
    parser.add_argument(
        "--over-network",
        action="store_true",
        help="let the server send its files although `cluster.file_copy` says to read them on its host",
    )


def _archive_wal(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Receive WAL and store it in every repository, until terminated; what `systemd` runs."
    parser = verb(verbs, "archive-wal", "wal:archive_wal", text)
    target(parser)
    parser.add_argument(
        "--recreate-slot",
        action="store_true",
        help="go on although the slot was lost; take a new base backup afterwards",
    )
    parser.add_argument(
        "--new-cluster",
        action="store_true",
        help="begin a new archive although the WAL so far is another cluster's (after pg_upgrade, initdb)",
    )


def _recovery_windows(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Show from when to when the cluster can be recovered, and what ends each window."
    parser = verb(verbs, "recovery-windows", "recovery:recovery_windows", text)
    target(parser)
    repository(
        parser, "--from", "repository to look into (default: the first that answers, directories first)"
    )


def _list(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verb(
        verbs, "list", "backups:list_backups", "List backups, newest first, and whether each is proven."
    )
    target(parser, default="all")
    which = parser.add_mutually_exclusive_group()
    _repository_choice = "read this repository (default: the first that answers, directories before S3)"
    which.add_argument("--repository", metavar="NAME", help=_repository_choice)
    which.add_argument("--all", action="store_true", help="read every repository")


def _show(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verb(
        verbs, "show", "backups:show_backup", "Show everything about one backup, in every repository."
    )
    target(parser)
    parser.add_argument("--label", required=True, help=LABEL_HELP)
    repository(parser, "--repository", "read only this repository")
    parser.add_argument("--objects", action="store_true", help="list its objects too")


def _verify(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Restore backups into a scratch server, compare them, record the proofs."
    parser = verb(verbs, "verify", "verify:verify", text)
    target(parser)
    parser.add_argument(
        "--label", help=f"{LABEL_HELP} (default: every backup that verify.policy wants proven)"
    )
    repository(parser, "--repository", "verify the copy in this repository (default: in each)")


def _restore_database(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = (
        "Restore a backup beside the live database, compare it, then swap the two by name. "
        "The former database is kept."
    )
    parser = verb(verbs, "restore-database", "restore:restore_database", text)
    target(parser)
    parser.add_argument("--label", help=LABEL_HELP)
    repository(parser, "--from", "repository to read (default: the first that has it, directories before S3)")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--dry-run", action="store_true", help="print the plan, change nothing")
    mode.add_argument(
        "--beside-only", action="store_true", help="restore and compare, leave the live one alone"
    )
    mode.add_argument(
        "--swap", action="store_true", help="restore, compare, then put it in the live one's place"
    )
    mode.add_argument(
        "--swap-back",
        nargs="?",
        const="",
        metavar="DATABASE",
        help="put the former database back in its place (needed where several are kept)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    escrow_key(parser)


def _restore_to_point_in_time(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = (
        "Recover the whole cluster to a point in time, in a new data directory, and validate it; "
        "then leave it beside or put it in the live one's place."
    )
    parser = verb(verbs, "restore-to-point-in-time", "recovery:restore_to_point_in_time", text)
    target(parser)
    parser.add_argument(
        "--to",
        required=True,
        metavar="POINT",
        help="latest, immediate, a time with its zone (2026-11-23T12:00:00Z), lsn:0/3000060, "
        "name:<restore point>, xid:<transaction id>",
    )
    parser.add_argument(
        "--timeline", default="latest", help="a number, latest, or current: that of the base backup"
    )
    parser.add_argument("--base", metavar="LABEL", help="base backup to start from (default: the best one)")
    parser.add_argument(
        "--exclusive", action="store_true", help="stop just before the point instead of just after it"
    )
    repository(parser, "--from", "repository to read (default: the first that answers, directories first)")
    parser.add_argument(
        "--into",
        type=Path,
        metavar="DIRECTORY",
        help="new data directory (default: below recovery.directory)",
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--dry-run", action="store_true", help="print the plan, fetch nothing")
    mode.add_argument("--beside-only", action="store_true", help="leave the recovered cluster beside")
    mode.add_argument(
        "--cut-over", action="store_true", help="put it in the live cluster's place; that one is kept"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    escrow_key(parser)


def _rescue_tables(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Bring one or more tables out of a backup into a new schema or database. Nothing is overwritten."
    parser = verb(verbs, "rescue-tables", "rescue:rescue_tables", text)
    target(parser)
    parser.add_argument(
        "tables", nargs="+", metavar="TABLE", help="lab.equipment, 'lab.readings_*', 'public.\"Table A\"'"
    )
    whence = parser.add_mutually_exclusive_group(required=True)
    whence.add_argument("--label", help=LABEL_HELP)
    whence.add_argument(
        "--clone", metavar="CONN_ID", help="connection to a running PostgreSQL to read instead"
    )
    repository(parser, "--from", "repository to read (default: the first that has it, directories before S3)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--into-schema", metavar="NAME", help="new schema of the live database (default: rescued_<time>)"
    )
    where.add_argument("--into-database", metavar="NAME", help="new database on the same server")
    parser.add_argument("--with-triggers", action="store_true", help="triggers and rules too; they are code")
    parser.add_argument(
        "--with-functions", action="store_true", help="functions the live database lacks may run in it"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be rescued, change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    escrow_key(parser)


def _decrypt(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Decrypt a backup into a directory that pg_restore reads, or one object into a file."
    parser = verb(verbs, "decrypt", "decrypt:decrypt", text)
    target(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--label", help=LABEL_HELP)
    what.add_argument("--object", metavar="KEY", help="key of one object, as `show --objects` lists it")
    parser.add_argument(
        "--into", type=Path, required=True, metavar="PATH", help="new directory (or file, for --object)"
    )
    repository(parser, "--from", "repository to read (default: the first that has it, directories before S3)")
    escrow_key(parser)


def _check_targets(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verb(verbs, "check-targets", "setup:check_targets", "Find every mistake in targets.yaml.")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema for editors instead")


def _pools(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Print the pools of targets.yaml as `airflow pools import` takes them."
    verb(verbs, "pools", "setup:pools", text)


def _check_server(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Compare the server's settings with include/postgres/backup.conf; exit code 1 when they differ."
    parser = verb(verbs, "check-server", "server:check_server", text)
    target(parser)
    parser.add_argument(
        "--conf", type=Path, metavar="FILE", help="compare with this file instead, of the same form"
    )


def _init_keys(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Make the key ring and the signing keys that targets.yaml names; never replaces one."
    parser = verb(verbs, "init-keys", "setup:init_keys", text)
    which = parser.add_mutually_exclusive_group()
    target(which)
    which.add_argument("--keys", metavar="NAME", help="entry of `keys` (default: that of the target)")
    parser.add_argument(
        "--new-generation",
        action="store_true",
        help="add a key to the key ring, which wraps from now on; older ones stay and open what they wrapped",
    )


def _inventory(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Create the inventory's tables or bring them up to date."
    verb(verbs, "migrate-inventory", "inventory:migrate_inventory", text)
    text = "Make the inventory say what the repositories hold, from them alone."
    target(verb(verbs, "rebuild-inventory", "inventory:rebuild_inventory", text), default="all")
