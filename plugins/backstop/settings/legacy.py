"""What targets.yaml says of legacy backups, opened. For the CLI and for Airflow alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from backstop.errors import ConfigurationError
from backstop.model.legacy import LegacyNames
from backstop.wiring import find_target, open_bucket, open_repository, open_trust

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.commands.legacy.places import Kind, Place
    from backstop.credentials import CredentialSource
    from backstop.repository.legacy_records import LegacyRecords
    from backstop.targets import Configuration, Legacy
    from backstop.targets.legacy import LegacyFiles


def find_legacy(configuration: Configuration, target_name: str) -> Legacy:
    """:raises ConfigurationError: the target has no ``legacy`` section."""
    legacy = find_target(configuration, target_name).legacy
    if legacy is None:
        raise ConfigurationError(
            f"target {target_name} has no `legacy` section: nobody knows where older backups are",
            hint="name their places there (docs/legacy.md)",
        )
    return legacy


def legacy_places(
    configuration: Configuration,
    target_name: str,
    credentials: CredentialSource,
    *,
    only: str | None = None,
) -> list[Place]:
    """Every place of the target, directories before S3, where nothing is asked yet.

    :param only: those whose files this repository's backups take the place of.
    :raises ConfigurationError: there are none, or a connection is missing.
    """
    from backstop.commands.legacy.places import Kind

    legacy = find_legacy(configuration, target_name)
    zone = ZoneInfo(legacy.timezone)
    found: list[Place] = []
    for tree, files in _sections(legacy):
        names = files.names or f"{tree or 'full'}_%Y%m%d_%H%M%S.{'tar.gz' if tree else 'sql.gz'}"
        for repository, place in files.places.items():
            if only in (None, repository):
                kind = Kind(tree, repository, LegacyNames(names, zone))
                found.append(_open(configuration, place, kind, credentials))
    if not found:
        raise ConfigurationError(
            f"target {target_name} has no legacy backups" + (f" for repository {only}" if only else ""),
            hint="name their places in its `legacy` section (docs/legacy.md)",
        )
    return sorted(found, key=lambda place: place.location.startswith("s3://"))


def legacy_records(
    configuration: Configuration,
    target_name: str,
    places: Sequence[Place],
    credentials: CredentialSource,
) -> dict[str, LegacyRecords]:
    """By repository, what is recorded of the files in these places."""
    from backstop.repository.legacy_records import LegacyRecords

    trust = open_trust(configuration, target_name)
    names = dict.fromkeys(place.kind.repository for place in places)
    return {
        name: LegacyRecords(open_repository(configuration, target_name, name, credentials), trust)
        for name in names
    }


def _sections(legacy: Legacy) -> Iterator[tuple[str, LegacyFiles]]:
    if legacy.database is not None:
        yield "", legacy.database
    yield from legacy.trees.items()


def _open(configuration: Configuration, place: str, kind: Kind, credentials: CredentialSource) -> Place:
    from backstop.commands.legacy.places import BucketPlace, DirectoryPlace

    if not place.startswith("s3://"):
        return DirectoryPlace(kind, Path(place))
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    lender = configuration.repositories[kind.repository]
    return BucketPlace(kind, open_bucket(lender, credentials, bucket=bucket, prefix=prefix))
