"""``reencrypt``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.exit_codes import DAMAGED, DONE, TRY_AGAIN
from backstop.cli.output import human_bytes, print_json, print_table, say
from backstop.cli.session import Session
from backstop.cli.terminal import progress_bar
from backstop.commands.reencryption.reencrypt import ReencryptionSettings, reencrypt
from backstop.credentials import in_role
from backstop.crypto.key_encryption import LOCAL_PROVIDER
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now
from backstop.settings.database import staging
from backstop.wiring import open_every_repository, open_inventory, open_keyring, open_signer

if TYPE_CHECKING:
    import argparse

    from backstop.commands.reencryption.report import ReencryptionReport


def reencrypt_backups(arguments: argparse.Namespace) -> int:
    """Ends with 5 when time alone may heal what is missing, with 4 when somebody must look."""
    session = Session(arguments, AccessRole.RESTORER)
    configuration, target = session.configuration, session.target_name
    # What is read and opened, and what is written and signed, is never one role's to do.
    writing = in_role(session.credentials, AccessRole.WRITER)
    writers = open_every_repository(configuration, target, writing)
    with progress_bar() as progress:
        report = reencrypt(
            ReencryptionSettings(
                target=target,
                compromised=_key_id(arguments.key),
                staging=staging(configuration, target, writers),
                holder=session.holder,
            ),
            readers=open_every_repository(configuration, target, session.credentials),
            writers=writers,
            opening=session.keyring_for_reading(arguments.escrow_key),
            keyring=open_keyring(configuration, target, writing),
            signer=open_signer(configuration, target, "manifest"),
            clock=utc_now,
            progress=progress,
            inventory=open_inventory(configuration, session.credentials),
            dry_run=arguments.dry_run,
        )
    _print(report, as_json=arguments.json, dry_run=arguments.dry_run)
    if report.complete or (arguments.dry_run and not report.unlooked):
        return DONE
    return TRY_AGAIN if report.retryable else DAMAGED


def _key_id(text: str) -> str:
    """As manifests write it; of a key ring's keys the id alone will do."""
    return text if "/" in text else f"{LOCAL_PROVIDER}/{text}"


def _print(report: ReencryptionReport, *, as_json: bool, dry_run: bool) -> None:
    for sentence in (*report.unlooked, *report.notes):
        say(f"backstop: {sentence}")
    for label, error in report.failed.items():
        say(f"backstop: {label} was not encrypted anew: {error}")
    if as_json:
        print_json(report.to_dict())
        return
    rows = [
        [old.text, report.successors[old].text if old in report.successors else "-"]
        for old in sorted({*report.wanted, *report.successors})
    ]
    print_table(["BACKUP", "ENCRYPTED ANEW AS"], rows)
    if not dry_run:
        print(f"{len(report.done)} backups, {human_bytes(report.stored_bytes)} stored")
    for name, count in report.wal_objects.items():
        if count:
            print(
                f"{name}: {count} objects of WAL were wrapped with this key and stay as they are: "
                "take a full base backup now; they go with the base backups that need them"
            )
