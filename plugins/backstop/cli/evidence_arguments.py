"""Flags and help of ``evidence`` and what it does. Loads nothing but argparse."""

from __future__ import annotations

import argparse
from pathlib import Path

from backstop.cli.arguments import repository, target, verb
from backstop.cli.exit_codes import EXIT_CODES

_TEXT = (
    "Records of every proof, drill and incident, signed and chained in each repository: judge them, hand "
    "them out, look at them. Each of the following takes --json too."
)
_PERIOD = "2026-11-01, or a time with its zone"


def add_evidence_verb(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add it."""
    parser = verbs.add_parser(
        "evidence",
        help=_TEXT,
        description=_TEXT,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="what to do", metavar="<action>", required=True)
    _verify(actions)
    _export(actions)
    _list(actions)
    _show(actions)
    _catch_up(actions)


def _verify(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = (
        "Find evidence that was changed, removed, put in, reordered or back-dated; exit code 4 when some was."
    )
    parser = verb(actions, "verify", "evidence:verify", text)
    target(parser, default="all")
    parser.add_argument(
        "--head",
        type=Path,
        metavar="FILE",
        help="hold it against what was kept of an earlier time too: an export, its heads.json, or what "
        "this printed with --json",
    )


def _export(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Write the evidence of a period for an auditor: cover page, records, reports, keys, how to check."
    parser = verb(actions, "export", "evidence:export", text)
    target(parser)
    parser.add_argument(
        "--from", dest="begins", required=True, metavar="DAY", help=f"where it begins: {_PERIOD}"
    )
    parser.add_argument(
        "--to", dest="ends", metavar="DAY", help=f"its last day, or a time: {_PERIOD} (default: now)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="PATH", help="a new file ….zip, or a new folder"
    )
    parser.add_argument(
        "--head", type=Path, metavar="FILE", help="what was kept of an earlier export; see `evidence verify`"
    )


def _list(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "List the records of evidence, newest first."
    parser = verb(actions, "list", "evidence:list_evidence", text)
    target(parser)
    repository(parser, "--repository", "read this repository's chain (default: every repository's)")
    parser.add_argument(
        "--kind",
        choices=("proof", "drill", "sign-off", "incident"),
        help="only records of this kind",
    )


def _show(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Show one record, and write its report into a file on request."
    parser = verb(actions, "show", "evidence:show", text)
    target(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--number", type=int, metavar="N", help="its number in the repository's chain")
    which.add_argument("--subject", metavar="NAME", help="the newest one of this backup, drill or incident")
    repository(parser, "--repository", "whose chain (default: the first that has it, directories before S3)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write its report into this new file")


def _catch_up(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = (
        "Add what could not be put into a chain of evidence at its time: proofs that are recorded, drills "
        "and incidents that another repository tells of."
    )
    parser = verb(actions, "catch-up", "evidence:catch_up_with_proofs", text)
    target(parser)
    repository(parser, "--repository", "only this repository's (default: every one's)")
