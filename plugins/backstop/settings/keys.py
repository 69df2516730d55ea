"""Keys of one entry of ``keys`` in targets.yaml: who uses them, how they are rotated."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from backstop.commands.keys.lacking import find_lacking, summarize
from backstop.commands.keys.rotation import RotatingKmsKeys, RotatingRing
from backstop.commands.keys.uses import KeyUses
from backstop.credentials import in_role
from backstop.crypto.escrow import EscrowKeyring
from backstop.crypto.keyring import LocalKeyring
from backstop.errors import BackstopError, ConfigurationError, NotFoundError
from backstop.model.access import AccessRole
from backstop.repository.description import Description
from backstop.repository.undescribed import targets_in
from backstop.wiring import every_repository, kms_clients_of, open_repository, open_storage

if TYPE_CHECKING:
    from datetime import datetime

    from backstop.commands.keys.lacking import Lack
    from backstop.commands.keys.rotation import RotatingKeys
    from backstop.credentials import CredentialSource
    from backstop.targets import Configuration, KeysConfig


def find_keys(configuration: Configuration, name: str) -> KeysConfig:
    """:raises NotFoundError: targets.yaml has no keys of that name."""
    if name not in configuration.keys:
        raise NotFoundError(
            f"targets.yaml has no keys {name!r}",
            hint=f"choose one of: {', '.join(sorted(configuration.keys))}",
        )
    return configuration.keys[name]


def rotating_keys(configuration: Configuration, name: str, credentials: CredentialSource) -> RotatingKeys:
    """What rotates them. :raises NotFoundError: no such keys; :raises ConfigurationError: no connection."""
    keys = find_keys(configuration, name)
    if keys.storage == "local":
        by_hand = hasattr(keys.escrow, "copied_to")
        renew = "copy the ring to every machine that uses it" + (
            f", renew its copy in {keys.escrow.copied_to}, and write the day into keys.{name}.escrow"  # type: ignore[union-attr]
            if by_hand
            else ""
        )
        return RotatingRing(partial(LocalKeyring.load, keys.path), by_hand, renew)
    return RotatingKmsKeys(
        (keys.key_arn, *keys.further_key_arns), kms_clients_of(keys, "administer", credentials)
    )


def look_at_uses(
    configuration: Configuration,
    name: str,
    credentials: CredentialSource,
    *,
    wal: bool,
    wal_since: datetime | None = None,
    before_removal: bool = False,
    described_only: bool = False,
) -> tuple[KeyUses, dict[str, BackstopError]]:
    """What the keys protect, of every target that uses them, in every repository of it.

    :param before_removal: look at the other targets too, for what they stored before they got other keys, at
        targets that are described no more, and at repositories that a target has no more; and a place that
        says it is no repository, such as a disk that is not mounted, could not be looked at.
    :param described_only: somebody vouches for what targets.yaml does not describe.
    :returns: that; and by target and repository, why one could not be looked at.
    :raises NotFoundError: no such keys.
    """
    find_keys(configuration, name)
    uses = KeyUses(wal=wal, wal_since=wal_since)
    # Whatever keys a target has whose file is wrong: nobody knows what it stored.
    failed: dict[str, BackstopError] = {
        f"anything that {broken.file} describes": ConfigurationError(
            f"its file is wrong: {broken.why}", hint="correct it first"
        )
        for broken in configuration.broken
        if not broken.is_shared
    }
    for target in configuration.targets.values():
        if target.keys != name and not before_removal:
            continue
        for repository in every_repository(configuration, target.name):
            try:
                uses.look_at(
                    open_repository(configuration, target.name, repository, credentials), target.name
                )
                if before_removal:
                    # What somebody deleted and another may have back needs its key: the auditor may look.
                    looker = in_role(credentials, AccessRole.AUDITOR)
                    uses.look_for_hidden(open_repository(configuration, target.name, repository, looker))
            except NotFoundError as error:
                if before_removal:
                    failed[f"{repository} of {target.name}"] = error
                # Else nothing has been backed up there yet.
            except BackstopError as error:
                failed[f"{repository} of {target.name}"] = error
    if before_removal and not described_only:
        failed |= _look_at_undescribed(configuration, uses, credentials)
    return uses, failed


def _look_at_undescribed(
    configuration: Configuration, uses: KeyUses, credentials: CredentialSource
) -> dict[str, BackstopError]:
    """:returns: by repository, why it could not be looked at."""
    failed: dict[str, BackstopError] = {}
    for name, repository in configuration.repositories.items():
        described = {one for one in configuration.targets if name in every_repository(configuration, one)}
        try:
            storage = open_storage(repository, in_role(credentials, AccessRole.VERIFIER))
            # No other role may see what stands at the top.
            top = open_storage(repository, in_role(credentials, AccessRole.AUDITOR))
            Description.read(storage)
            for target in targets_in(storage, top=top):
                if target not in described:
                    uses.look_at_undescribed(storage, target, name=name)
        except BackstopError as error:
            failed[f"{name}, for targets that are described no more,"] = error
    return failed


def look_for_lacks(
    configuration: Configuration, name: str, credentials: CredentialSource, *, heads: bool
) -> list[Lack]:
    """Which backups the keys do not open that new ones are wrapped with.

    Those of KMS, and the offline one; of a ring, each generation opens what it wrapped. What cannot be looked
    at is left out: :func:`look_at_uses` names it.

    :raises NotFoundError: no such keys.
    :raises KeyUnavailableError: the public half of the offline key is unusable.
    """
    keys, found = find_keys(configuration, name), []
    wanted = [] if keys.storage == "local" else [keys.key_arn, *keys.further_key_arns]
    public_key = getattr(keys.escrow, "public_key", None)
    if public_key is not None:
        wanted += EscrowKeyring.load_public(public_key).key_ids
    for target in configuration.targets.values():
        if not wanted or target.keys != name:
            continue
        for repository in every_repository(configuration, target.name):
            try:
                opened = open_repository(configuration, target.name, repository, credentials)
                found.append((repository, find_lacking(opened, wanted, heads=heads)))
            except BackstopError:
                continue
    return summarize(found)
