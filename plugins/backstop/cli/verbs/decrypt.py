"""``decrypt``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.output import human_bytes, print_fields, print_json
from backstop.cli.session import Session
from backstop.cli.terminal import progress_bar
from backstop.commands.decrypt import decrypt_backup, decrypt_object, label_in
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now

if TYPE_CHECKING:
    import argparse

    from backstop.model.backup import BackupLabel


def decrypt(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.RESTORER)
    keyring = session.keyring_for_reading(arguments.escrow_key)
    text = arguments.label or label_in(arguments.object).text
    repository, label = session.locate(text, only=arguments.repository, dumps=True)
    destination = arguments.into.absolute()
    with progress_bar() as progress:
        if arguments.object:
            done = decrypt_object(
                repository,
                arguments.object,
                keyring=keyring,
                destination=destination,
                clock=utc_now,
                progress=progress,
            )
        else:
            jobs = session.configuration.targets[session.target_name].database.jobs
            done = decrypt_backup(
                repository,
                label,
                keyring=keyring,
                destination=destination,
                jobs=jobs,
                clock=utc_now,
                progress=progress,
            )
    if arguments.json:
        print_json(done.to_dict())
        return 0
    fields = [
        ("backup", f"{done.label} from {done.repository}"),
        ("written", f"{done.destination}: {len(done.files)} files, {human_bytes(done.plain_bytes)}"),
    ]
    if not arguments.object:
        fields.append(("restore", _next_step(label, done.destination)))
    fields.append(("careful", "it is not encrypted any more, and holds all data and the roles' passwords"))
    print_fields(fields)
    return 0


def _next_step(label: BackupLabel, destination: str) -> str:
    if label.kind.physical:
        return f'unpack every tar in {destination}: docs/format.md, "Reading a base backup without Backstop"'
    return f"pg_restore -d <empty database> {destination}"
