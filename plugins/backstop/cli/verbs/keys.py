"""``show-keys``, ``check-keys`` and ``rotate-keys``."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.cli.exit_codes import DONE
from backstop.cli.output import human_bytes, human_time, print_json, print_table, say
from backstop.cli.session import Session
from backstop.commands.keys.canary import Opened, open_canaries
from backstop.commands.keys.outcome import keep_outcome
from backstop.commands.keys.removal import remove_generation
from backstop.credentials import default_credentials
from backstop.crypto.keyring import LocalKeyring
from backstop.errors import BackstopError, ConfigurationError, KeyUnavailableError, NotFoundError
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now
from backstop.settings.keys import find_keys, look_at_uses, look_for_lacks, rotating_keys
from backstop.targets import load_targets
from backstop.wiring import every_repository, open_inventory

if TYPE_CHECKING:
    import argparse

    from backstop.targets import Configuration

_CLOCKS = timedelta(days=1)
"""Clocks of a repository and of whoever makes keys are never as far apart."""


def show_keys(arguments: argparse.Namespace) -> int:
    """Exit code 0 when everything was looked at; else that of the first that could not be."""
    configuration = load_targets(arguments.targets)
    name = _chosen(configuration, arguments.keys)
    # Heads of WAL are payload: the auditor reads none.
    role = AccessRole.VERIFIER if arguments.wal else AccessRole.AUDITOR
    uses, failed = look_at_uses(configuration, name, default_credentials(role), wal=arguments.wal)
    for where, error in failed.items():
        say(f"backstop: {where} could not be looked at: {error.message}")
    for sentence in uses.unread:
        say(f"backstop: {sentence}")
    lacks = look_for_lacks(configuration, name, default_credentials(role), heads=arguments.wal)
    found = uses.all().values()
    if arguments.json:
        print_json(
            {
                "keys": name,
                "protect": [one.to_dict() for one in found],
                "not_opened": [one.to_dict() for one in lacks],
                "unread": uses.unread,
            }
        )
    else:
        print_table(
            ["KEY", "BACKUPS", "WAL", "ONLY KEY OF", "STORED", "OLDEST", "NEWEST"],
            [
                [
                    one.key,
                    str(one.backups),
                    str(one.wal) if arguments.wal else "-",
                    str(one.alone),
                    human_bytes(one.stored_bytes),
                    human_time(one.oldest) if one.oldest else "-",
                    human_time(one.newest) if one.newest else "-",
                ]
                for one in found
            ],
        )
        for lack in lacks:
            print(f"{lack.key} does not open {lack.backups} backups, such as {', '.join(lack.examples)}")
    return next((error.exit_code for error in failed.values()), DONE)


def check_keys(arguments: argparse.Namespace) -> int:
    """Exit code 1 when something does not open; else that of what could not be looked at."""
    session = Session(arguments, AccessRole.RESTORER)
    keyring = session.keyring_for_reading(arguments.escrow_key)
    # What the key from the safe opens says nothing of what whoever restores can open.
    inventory = None if arguments.escrow_key else open_inventory(session.configuration, session.credentials)
    opened: list[Opened] = []
    failed: list[BackstopError] = []
    for name in every_repository(session.configuration, session.target_name):
        try:
            tried = list(open_canaries(session.repository(name), keyring=keyring))
        except NotFoundError:
            continue  # nothing has been backed up there yet
        except BackstopError as error:
            failed.append(error)
            say(f"backstop: {name} could not be looked at: {error.message}")
        else:
            opened += tried
            for sentence in keep_outcome(inventory, session.target_name, name, tried, now=utc_now()):
                say(f"backstop: {sentence}")
    if arguments.json:
        print_json({"opened": [one.to_dict() for one in opened]})
    else:
        rows = [[one.repository, one.what, one.why or "opens", one.key] for one in opened]
        print_table(["REPOSITORY", "WHAT", "", "OBJECT"], rows)
    if any(one.why for one in opened):
        return KeyUnavailableError.exit_code
    return failed[0].exit_code if failed else DONE


def rotate_keys(arguments: argparse.Namespace) -> int:
    """A new key when it is due, or at once; or the end of an old one."""
    configuration = load_targets(arguments.targets)
    name = _chosen(configuration, arguments.keys)
    if arguments.remove is not None:
        said = [_remove(configuration, name, arguments.remove, described_only=arguments.described)]
    else:
        keys = rotating_keys(configuration, name, default_credentials(AccessRole.PREPARER))
        said = keys.rotate(now=utc_now(), at_once=arguments.now)
    if arguments.json:
        print_json({"keys": name, "done": said})
    else:
        for sentence in said:
            print(sentence)
    return DONE


def _remove(configuration: Configuration, name: str, generation: str, *, described_only: bool) -> str:
    keys = find_keys(configuration, name)
    if keys.storage != "local":
        raise ConfigurationError(
            f"keys.{name} are kept by AWS KMS, which keeps former material by itself",
            hint="delete a key in KMS alone, and only when `show-keys` says that nothing needs it",
        )
    ring = LocalKeyring.load(keys.path)
    made_at = next((one.created_at for one in ring.generations if one.id == generation), None)
    uses, failed = look_at_uses(
        configuration,
        name,
        default_credentials(AccessRole.VERIFIER),
        wal=True,
        wal_since=made_at - _CLOCKS if made_at else None,
        before_removal=True,
        described_only=described_only,
    )
    left = remove_generation(ring, generation, uses=uses, unreachable=failed, now=utc_now())
    return f"key {generation} is gone from {keys.path}, which holds {len(left.generations)} now"


def _chosen(configuration: Configuration, name: str | None) -> str:
    if name is not None:
        return name
    if len(configuration.keys) == 1:
        return next(iter(configuration.keys))
    raise ConfigurationError(
        "targets.yaml has several keys" if configuration.keys else "targets.yaml has no keys",
        hint=f"add --keys with one of: {', '.join(sorted(configuration.keys))}",
    )
