"""Brings a base backup back: the whole chain fetched, checked, combined into one new data directory."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.commands.base.extraction import Extraction, link_tablespaces
from backstop.commands.database.fetch import read_object, refuse_taken, refuse_unless_present
from backstop.errors import IntegrityError, RestoreError
from backstop.postgres.backup_manifest import NAME, compare_files, parse_backup_manifest
from backstop.postgres.process import run_tool
from backstop.repository.stored import open_stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.commands.progress import Progress
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import Manifest, StoredObject
    from backstop.postgres.tools import PostgresTools
    from backstop.repository.catalog import Repository

MAX_MANIFEST_BYTES = 1024 * 1024 * 1024
_LAYOUT = "base"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class RestoredBase:
    """A data directory that only lacks its WAL.

    :param tablespaces: where each one's files are, by oid; :param origins: where they were on the source.
    """

    data: Path
    tablespaces: dict[int, Path]
    origins: dict[int, str]
    size_bytes: int


def fetch_base(
    repository: Repository,
    chain: Sequence[Manifest],
    *,
    keyring: Keyring,
    tools: PostgresTools,
    destination: Path,
    tablespaces: Path,
    jobs: int,
    progress: Progress,
    owner: int | None = None,
) -> RestoredBase:
    """The data directory of the chain's last backup, 0700, whole or not there at all.

    Every file is compared with PostgreSQL's own manifest (size and CRC-32C) while it is written. Incremental
    backups are combined by ``pg_combinebackup`` (17 and later). Progress counts stored bytes.

    :param chain: the full backup first.
    :param tools: of the backups' own major version.
    :param destination: must not exist, or be an empty directory; its parent must exist.
    :param tablespaces: a directory for the tablespaces, each under its oid: never where they were.
    :param owner: user id that everything shall belong to, when it is not ours.
    :raises IntegrityError: something is damaged, swapped, or not what PostgreSQL writes.
    :raises ObjectMissingError: the repository lacks objects. :raises RestoreError: a destination is taken.
    """
    refuse_taken(destination)
    if os.path.lexists(tablespaces):
        raise RestoreError(f"{tablespaces} exists already", hint="name a directory that does not exist yet")
    for manifest in chain:
        refuse_unless_present(repository, manifest)
    progress.phase("fetch", total_bytes=sum(manifest.stored_bytes for manifest in chain))
    folder = Path(tempfile.mkdtemp(prefix=f".{destination.name}-", dir=destination.parent))
    try:
        fetched = [
            _fetch_one(
                repository, manifest, folder / str(number), keyring=keyring, jobs=jobs, progress=progress
            )
            for number, manifest in enumerate(chain)
        ]
        last = fetched[-1] if len(fetched) == 1 else _combine(fetched, folder / "combined", tools)
        oids = sorted(int(path.name) for path in last.tablespaces.iterdir())
        places = {oid: tablespaces / str(oid) for oid in oids}
        link_tablespaces(last.data, places)
        if owner is not None and owner != os.geteuid():
            _give(last.data, owner)
            _give(last.tablespaces, owner)
        if places:
            last.tablespaces.rename(tablespaces)
        # Last of all: a data directory without its tablespaces must not be there for a moment.
        last.data.rename(destination)
    except BaseException:
        if tablespaces.exists() and not destination.exists():
            shutil.rmtree(tablespaces, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    size = sum(size for size, _ in last.files.values())
    return RestoredBase(destination, places, dict(fetched[-1].origins), size)


def _fetch_one(
    repository: Repository,
    manifest: Manifest,
    folder: Path,
    *,
    keyring: Keyring,
    jobs: int,
    progress: Progress,
) -> Extraction:
    folder.mkdir(mode=0o700)
    extraction = Extraction(folder / "data", folder / "tablespaces")
    extraction.data.mkdir(mode=0o700)
    extraction.tablespaces.mkdir(mode=0o700)
    listing = read_object(repository, manifest, NAME, keyring=keyring, max_bytes=MAX_MANIFEST_BYTES)
    stop = threading.Event()
    parts = [stored for stored in manifest.objects if stored.layout == _LAYOUT]
    with ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="fetch") as pool:
        futures = [
            pool.submit(
                extraction.part, stored.name, _blocks(repository, manifest, stored, keyring, progress, stop)
            )
            for stored in sorted(parts, key=lambda stored: stored.stored_bytes, reverse=True)
        ]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    compare_files(parse_backup_manifest(listing), extraction.files)
    (extraction.data / NAME).write_bytes(listing)
    (extraction.data / NAME).chmod(0o600)
    if "backup_label" not in extraction.files:
        raise IntegrityError(f"backup {manifest.label} has no backup_label", hint="choose another backup")
    return extraction


def _blocks(
    repository: Repository,
    manifest: Manifest,
    stored: StoredObject,
    keyring: Keyring,
    progress: Progress,
    stop: threading.Event,
) -> Iterator[bytes]:
    """One part's plaintext; before its end it only ever goes into a folder that may be thrown away."""
    from backstop.crypto.envelope import decrypt_stream, object_context

    context = object_context(manifest.target, manifest.label.text, stored.key)
    with open_stored(repository.storage, stored) as source:
        for block in decrypt_stream(source, keyring=keyring, context=context, expected=stored):
            if stop.is_set():
                raise RestoreError(
                    "stopped, because another part failed", hint="see what is said of that one"
                )
            yield block
    progress.advance(stored.stored_bytes)


def _combine(fetched: Sequence[Extraction], folder: Path, tools: PostgresTools) -> Extraction:
    """The last backup of the chain as a full one."""
    if tools.major < 17:
        raise RestoreError(
            f"pg_combinebackup came with PostgreSQL 17, and {tools.bin_dir} has {tools.major}",
            hint="install the programs of the backups' own major version",
        )
    combined = Extraction(folder / "data", folder / "tablespaces")
    folder.mkdir(mode=0o700)
    combined.tablespaces.mkdir(mode=0o700)
    mappings = []
    for one in fetched:
        found = {int(path.name): path for path in one.tablespaces.iterdir()}
        link_tablespaces(one.data, found)
        if one is fetched[-1]:
            mappings = [f"{path}={combined.tablespaces / path.name}" for path in found.values()]
    run_tool(
        [
            tools.path("pg_combinebackup"),
            *[str(one.data) for one in fetched],
            f"--output={combined.data}",
            "--no-sync",
            *(["--link"] if tools.major >= 18 else []),
            *[f"--tablespace-mapping={mapping}" for mapping in mappings],
        ],
        env=_ENVIRONMENT,
    )
    listing = parse_backup_manifest((combined.data / NAME).read_bytes())
    combined.files = {file.path: (file.size_bytes, file.crc32c or 0) for file in listing.files}
    return combined


def _give(folder: Path, owner: int) -> None:
    """Make everything below it the owner's; no link is followed."""
    import pwd

    try:
        group = pwd.getpwuid(owner).pw_gid
    except KeyError:
        group = owner
    for place, folders, files in os.walk(folder):
        os.chown(place, owner, group)
        for name in (*folders, *files):
            os.chown(Path(place) / name, owner, group, follow_symlinks=False)
