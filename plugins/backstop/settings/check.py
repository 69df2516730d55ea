"""How targets.yaml wants repositories checked and prepared, for the CLI and for Airflow alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError, KeyUnavailableError
from backstop.settings.database import staging
from backstop.wiring import every_repository, find_target, open_keyring, open_signer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.commands.check.settings import CheckSettings
    from backstop.commands.prepare.preparation import Step
    from backstop.credentials import CredentialSource
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.signing import Signer
    from backstop.repository.catalog import Repository
    from backstop.targets import Configuration


def check_settings(
    configuration: Configuration,
    target: str,
    repositories: Sequence[Repository],
    *,
    share: float | None = None,
    seed: int | None = None,
    restart: bool = False,
    heal: bool = False,
) -> CheckSettings:
    """What to read. :param share: another one than targets.yaml says."""
    from backstop.commands.check.settings import CheckSettings

    rules = find_target(configuration, target).check
    return CheckSettings(
        staging=staging(configuration, target, repositories),
        share=rules.share if share is None else share,
        seed=seed,
        restart=restart,
        heal=heal,
        jobs=rules.jobs,
    )


def keyring_if_any(
    configuration: Configuration, target: str, credentials: CredentialSource
) -> Keyring | None:
    """What opens WAL; None on a machine that has no key: there WAL is read and not judged."""
    try:
        return open_keyring(configuration, target, credentials, for_reading=True)
    except KeyUnavailableError:
        return None


def proof_signer_if_any(configuration: Configuration, target: str) -> Signer | None:
    """None on a machine that signs no proofs."""
    try:
        return open_signer(configuration, target, "proof")
    except KeyUnavailableError:
        return None


def preparation_steps(
    configuration: Configuration, name: str, credentials: CredentialSource
) -> tuple[str, list[Step]]:
    """Where a repository of targets.yaml is, and what preparing it consists of.

    :raises ConfigurationError: there is none of that name, or a connection is missing.
    """
    from backstop.commands.prepare.bucket import GuardsStep, LocksStep, VersionsStep
    from backstop.commands.prepare.directory import DirectoryStep
    from backstop.commands.prepare.lifecycle import LifecycleStep
    from backstop.model.access_policy import Place
    from backstop.wiring import open_bucket_settings, open_lifecycle

    if name not in configuration.repositories:
        raise ConfigurationError(
            f"targets.yaml has no repository {name!r}",
            hint=f"choose one of: {', '.join(sorted(configuration.repositories))}",
        )
    config = configuration.repositories[name]
    if config.type == "posix":
        return str(config.path), [DirectoryStep(config.path, mounted=config.mounted)]
    # Without a prefix of its own the bucket may hold other things: then just what targets have there is ours.
    targets = [one for one in configuration.targets if name in every_repository(configuration, one)]
    # Of a target whose file is wrong nobody knows where its backups are: perhaps here.
    targets += [one for one in configuration.known_targets if one not in configuration.targets]
    prefixes = [f"{config.prefix}/"] if config.prefix else [f"{target}/" for target in sorted(targets)]
    lifecycle = open_lifecycle(config, credentials)
    location = f"s3://{config.bucket}/{config.prefix}".rstrip("/")
    steps: list[Step] = [LifecycleStep(lifecycle, prefixes, noncurrent=config.noncurrent)]
    settings = open_bucket_settings(config, credentials)
    if settings.on_aws or config.lock is not None:
        steps.append(VersionsStep(settings))
    if config.lock is not None:
        steps.append(LocksStep(settings))
    if settings.on_aws:
        # Of AWS alone it is known that it understands every condition: elsewhere a guard could lock us out.
        everybody = ("*",) if config.prefix else tuple(sorted(targets))
        place = Place(config.bucket, prefix=config.prefix, targets=everybody, partition=settings.partition)
        steps.append(GuardsStep(settings, place))
    return location, steps


def parse_share(text: str) -> float:
    """:raises ConfigurationError: no share such as ``5%``."""
    from backstop.targets.shares import parse_share as parse

    try:
        return parse(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is no share", hint=str(error)) from None
