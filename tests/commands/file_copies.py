"""Base backups by file copy, for tests."""

from __future__ import annotations

import os
import shutil
import tarfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.commands.base.settings import FileCopySettings
from backstop.commands.database.fetch import fetch_object, read_object
from backstop.commands.progress import Silent
from backstop.model.backup import BackupLabel
from embedded.accounts import postgres_account

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from backstop.commands.backup_report import BaseBackupReport
    from embedded.postgres import EmbeddedPostgres
    from tests.physical import BaseBackups


def by_file_copy(base: BaseBackups, *, readers: int = 2, data: Path | None = None) -> BaseBackups:
    """Full ones are read from the server's own directory from now on."""
    files = FileCopySettings(data or base.server.data, readers=readers)
    base.settings = replace(base.settings, file_copy=files)
    return base


def members(base: BaseBackups, report: BaseBackupReport) -> dict[str, list[tuple[Any, ...]]]:
    """By tablespace: name, kind, target and rights of every member of its archive, sorted."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for part, listed in _parts(base, report).items():
        found.setdefault(part.split("/")[0], []).extend(
            (one.name.removeprefix("./").rstrip("/"), one.type, one.linkname, one.mode) for one in listed
        )
    return {name: sorted(listed) for name, listed in found.items()}


def last_part(base: BaseBackups, report: BaseBackupReport) -> list[str]:
    """Names of the members of the data directory's last part."""
    parts = _parts(base, report)
    return [one.name for one in parts[max(name for name in parts if name.startswith("base/"))]]


def _parts(base: BaseBackups, report: BaseBackupReport) -> dict[str, list[tarfile.TarInfo]]:
    repository = base.protection.repository("local")
    manifest = repository.catalog.backup(BackupLabel(report.label)).manifest
    found = {}
    part = base.protection.folder / "part.tar"
    for stored in manifest.objects:
        if stored.layout == "base":
            fetch_object(
                repository,
                manifest,
                stored,
                keyring=base.protection.keyring,
                destination=part,
                progress=Silent(),
            )
            with tarfile.open(part) as archive:
                found[stored.name] = archive.getmembers()
            part.unlink()
    return found


def backup_manifest(base: BaseBackups, report: BaseBackupReport) -> bytes:
    repository = base.protection.repository("local")
    manifest = repository.catalog.backup(BackupLabel(report.label)).manifest
    return read_object(
        repository, manifest, "backup_manifest", keyring=base.protection.keyring, max_bytes=2**31
    )


@contextmanager
def tablespace(server: EmbeddedPostgres, name: str) -> Iterator[Path]:
    """One of its own, empty again in the end."""
    place = server.directory / name
    place.mkdir(mode=0o700, exist_ok=True)
    postgres_account(server.directory, server.bin_dir).own(place)
    with server.connect() as session:
        session.execute(f"CREATE TABLESPACE {name} LOCATION '{place}'")
    try:
        yield place
    finally:
        with server.connect() as session:
            session.execute(f"DROP TABLESPACE {name}")


@contextmanager
def relations(session: psycopg.Connection[Any], apart: str) -> Iterator[None]:
    """Tables that last, that do not survive a crash, that end with the session; here and in a tablespace."""
    names = []
    for kind in ("", "UNLOGGED", "TEMPORARY"):
        for where in ("pg_default", apart):
            name = f"of_{kind.lower() or 'everybody'}_{where}"
            session.execute(f"CREATE {kind} TABLE {name} (n int PRIMARY KEY, t text) TABLESPACE {where}")
            session.execute(f"INSERT INTO {name} SELECT n, md5(n::text) FROM generate_series(1, 999) n")
            names.append(name)
    try:
        yield
    finally:
        session.execute(f"DROP TABLE {', '.join(names)}")


_LEFT_BEHIND = (
    "base/pgsql_tmp/pgsql_tmp1.0", "base/1/pg_internal.init.77", "backup_label.old", ".hidden",
    "current_logfiles.tmp", "postgresql.auto.conf.tmp", "pg_replslot/one/state", "pg_notify/0000",
    "pg_subtrans/0001", "pg_wal/000000010000000000000099.partial", "mine/deeper/notes", "base/1/t3_16384",
    "base/1/t3_16384_fsm.1", "base/1/99999_init", "base/1/99999", "base/1/99999_vm.2", "backup_manifest.txt",
    "pg_stat_tmp/some.stat", "base/1/not_a_relation", "backup_manifest", "tablespace_map.old",
    "mine/tablespace_map",
)  # fmt: skip


@contextmanager
def left_behind(server: EmbeddedPostgres, place: Path) -> Iterator[None]:
    """What servers leave here and there in their directories and in a tablespace, and others put there."""
    account = postgres_account(server.directory, server.bin_dir)
    folders = [server.data / "mine", server.data / "pg_replslot" / "one", place / "PG_14_202107181"]
    try:
        for name in _LEFT_BEHIND:
            path = server.data / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text("x")
            account.own(path)
            account.own(path.parent)
        (server.data / "mine" / "link").symlink_to("/etc/hostname")
        os.mkfifo(server.data / "mine" / "pipe")
        folders[2].mkdir(mode=0o700)
        (folders[2] / "old").write_text("x")
        for path in (folders[2], folders[2] / "old"):
            account.own(path)
        yield
    finally:
        for name in _LEFT_BEHIND:
            (server.data / name).unlink(missing_ok=True)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def no_backup_mode(server: EmbeddedPostgres) -> bool:
    """Whether no session holds a backup."""
    with server.connect() as session:
        held = session.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'backstop:base'"
        ).fetchone()
    return held == (0,)


def opened(descriptor: int) -> str:
    """The path of the file behind it."""
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())
