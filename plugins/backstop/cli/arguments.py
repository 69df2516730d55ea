"""What the verbs' arguments have in common."""

from __future__ import annotations

import argparse
from pathlib import Path

from backstop.cli.exit_codes import EXIT_CODES

LABEL_HELP = "backup label such as 20261123T010000Z-dump, 'latest', or 'latest-proven'"


def verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: str, text: str
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        name,
        help=text,
        description=text,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    parser.add_argument(
        "--targets",
        type=Path,
        metavar="FILE",
        help="targets.yaml to use, or a directory of them (default: $BACKSTOP_TARGETS)",
    )
    return parser


def target(parser: argparse._ActionsContainer, *, default: str = "the only one of targets.yaml") -> None:
    parser.add_argument("--target", metavar="NAME", help=f"target (default: {default})")


def repository(parser: argparse._ActionsContainer, name: str, text: str) -> None:
    parser.add_argument(name, dest="repository", metavar="NAME", help=text)


def escrow_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--escrow-key", type=Path, metavar="PEM", help="offline RSA key, when the key ring or KMS is lost"
    )
