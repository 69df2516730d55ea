"""What most verbs begin with: the configuration, the target, and the repository that has the backup."""

from __future__ import annotations

import getpass
import socket
from typing import TYPE_CHECKING

from backstop.cli.output import say
from backstop.credentials import CredentialSource, default_credentials
from backstop.errors import BackstopError, ConfigurationError, NotFoundError
from backstop.settings.arguments import parse_label
from backstop.targets import Configuration, load_targets
from backstop.targets.load import targets_path
from backstop.wiring import cheapest_first, find_target, open_keyring, open_repository

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from backstop.crypto.key_encryption import Keyring
    from backstop.model.access import AccessRole
    from backstop.model.backup import BackupLabel
    from backstop.repository.catalog import Published, Repository

LATEST = "latest"
LATEST_PROVEN = "latest-proven"


class Session:
    """One run of a verb on one target.

    :param role: of repositories and keys, the connections of this role alone are asked for.
    :raises ConfigurationError: targets.yaml is wrong, or no target is named where there are several.
    :raises NotFoundError: no such target.
    """

    def __init__(self, arguments: argparse.Namespace, role: AccessRole) -> None:
        self.configuration: Configuration = load_targets(arguments.targets)
        self.credentials: CredentialSource = default_credentials(role)
        self.target_name = chosen_target(self.configuration, arguments.target)
        self.holder = f"`python -m backstop` with {targets_path(arguments.targets)}, by {local_user()}"
        """How leases and pins name this run to others, who may belong to another deployment."""

    def repository(self, name: str) -> Repository:
        return open_repository(self.configuration, self.target_name, name, self.credentials)

    def repository_names(self, only: str | None = None) -> list[str]:
        """The target's repositories, cheapest first; or just the one that was asked for."""
        return [only] if only else cheapest_first(self.configuration, self.target_name)

    def locate(
        self, text: str, *, only: str | None = None, dumps: bool = False
    ) -> tuple[Repository, BackupLabel]:
        """The first repository that answers and has the backup, and the backup's label.

        A repository that fails is named on stderr and passed over; what ``latest`` means is decided by the
        first that answers.

        :param text: a label, ``latest`` or ``latest-proven``.
        :param dumps: what is the latest is asked among dumps only.
        :raises NotFoundError: no repository that answered has it.
        :raises BackstopError: none answered; the first one's error.
        """
        label = None if text in (LATEST, LATEST_PROVEN) else parse_label(text)
        failures: list[BackstopError] = []
        absent: NotFoundError | None = None
        for name in self.repository_names(only):
            try:
                repository = self.repository(name)
                found = label or newest(repository, proven=text == LATEST_PROVEN, dumps=dumps)
                repository.catalog.backup(found)
                return repository, found
            except NotFoundError as error:
                absent = error
            except BackstopError as error:
                failures.append(error)
                say(f"backstop: repository {name} is passed over: {error.message}")
        raise (
            failures[0]
            if failures
            else absent or NotFoundError(f"no backup {text}", hint="see `python -m backstop list`")
        )

    def keyring_for_reading(self, escrow_key: Path | None) -> Keyring:
        """The keys that open backups; the password of an offline key is asked for when it has one."""
        password = None
        if escrow_key is not None and _is_encrypted(escrow_key):
            from backstop.cli.terminal import ask_password

            password = ask_password(f"Password of {escrow_key}: ")
        return open_keyring(
            self.configuration,
            self.target_name,
            self.credentials,
            for_reading=True,
            escrow_key=escrow_key,
            escrow_password=password,
        )


def chosen_target(configuration: Configuration, name: str | None) -> str:
    """The named target, or the only one there is."""
    if name is not None:
        return find_target(configuration, name).name
    if len(configuration.known_targets) == 1:
        return find_target(configuration, configuration.known_targets[0]).name
    raise ConfigurationError(
        "targets.yaml has several targets" if configuration.known_targets else "targets.yaml has no target",
        hint=f"add --target with one of: {', '.join(configuration.known_targets)}",
    )


def newest(repository: Repository, *, proven: bool, dumps: bool = False) -> BackupLabel:
    """The newest backup by the time it finished. :raises NotFoundError: there is none."""
    published: Published
    listing = repository.catalog.backups()
    for published in reversed(listing.dumps if dumps else listing.backups):
        if not proven or repository.catalog.verifications(published).proven:
            return published.manifest.label
    what = f"{'proven ' if proven else ''}{'dump' if dumps else 'backup'}"
    raise NotFoundError(
        f"{repository.catalog.target} has no {what} in {repository.name}",
        hint="see `python -m backstop list --all`",
    )


def local_user() -> str:
    """Who runs this, for people: ``ada@db1``."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _is_encrypted(key: Path) -> bool:
    try:
        return b"ENCRYPTED" in key.read_bytes()
    except OSError:
        return False  # opening it says what is wrong
