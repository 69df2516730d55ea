"""Make the keys that targets.yaml names and that are not there yet; run by the service `airflow-init`.

A run that was interrupted is finished by the next. Keys that were there once are not made anew: whatever was
backed up with the former ones could not be opened, and nobody would notice until then.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from backstop.cli.main import main as backstop
from backstop.credentials import default_credentials
from backstop.crypto.signature_algorithms import ED25519
from backstop.crypto.signing import TrustedSigners
from backstop.errors import BackstopError, NotFoundError, ObjectMissingError
from backstop.model.access import AccessRole
from backstop.targets import load_targets
from backstop.wiring import every_repository, open_storage

if TYPE_CHECKING:
    from backstop.targets import Configuration, KeysConfig


def main() -> int:
    """0, or the exit code of the first `init-keys` that failed."""
    configuration = load_targets()
    unfinished = [name for name, keys in configuration.keys.items() if not _finished(keys)]
    for name in unfinished:
        if lost := _lost(configuration, name):
            sys.exit(
                f"keys.{name}: {lost}\n  next: put the copy of secrets/keys back, new keys open nothing that "
                f"is there. If new ones are meant: python -m backstop init-keys --keys {name}"
            )
    for name in unfinished:
        if code := backstop(["init-keys", "--keys", name]):
            return code
    return 0


def _finished(keys: KeysConfig) -> bool:
    if _missing(keys):
        return False
    if keys.storage == "local" or keys.evidence_key_arn is None:
        return True
    # The last step: the key of AWS KMS that signs evidence is trusted.
    known = TrustedSigners.load(keys.signing / "trusted.json").signers.values()
    return any(one.algorithm != ED25519 for one in known)


def _missing(keys: KeysConfig) -> bool:
    ring_missing = keys.storage == "local" and not keys.path.exists()
    return ring_missing or not (keys.signing / "trusted.json").exists()


def _lost(configuration: Configuration, name: str) -> str:
    """What says that keys were there before; empty when nothing does."""
    keys = configuration.keys[name]
    if not _missing(keys):
        return ""
    # The ring is made first.
    if keys.storage == "local" and not keys.path.exists() and any(keys.signing.glob("*")):
        return f"the key ring {keys.path} is gone, and {keys.signing} is still there"
    for target in (one for one in configuration.targets.values() if one.keys == name):
        for repository in every_repository(configuration, target.name):
            if why := _has_backups(configuration, repository, target.name):
                return why
    return ""


def _has_backups(configuration: Configuration, repository: str, target: str) -> str:
    try:
        storage = open_storage(
            configuration.repositories[repository], default_credentials(AccessRole.AUDITOR), hurried=True
        )
        if any(True for _ in storage.list(f"{target}/meta/manifests/")):
            return (
                f"keys are missing, and repository {repository} ({storage.location}) has backups of {target}"
            )
    except (NotFoundError, ObjectMissingError):
        return ""  # no directory, no bucket: nothing has been backed up
    except BackstopError as error:
        why = error.message
        return f"keys are missing, and repository {repository} does not say whether it has backups: {why}"
    return ""


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BackstopError as error:
        sys.exit(f"backstop: {error}")
