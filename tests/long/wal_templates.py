"""Servers to strike: data directories are made once, and copied."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from embedded.accounts import postgres_account
from embedded.postgres import EmbeddedPostgres
from tests.long.ledger import TABLES
from tests.physical import bin_dir_of

if TYPE_CHECKING:
    from pathlib import Path

_SETTINGS = {
    "shared_buffers": "16MB",
    "max_connections": "40",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "checkpoint_timeout": "30s",
    # What is confirmed goes soon, and is not there to heal what the receiver lost.
    "wal_keep_size": "0",
    "wal_recycle": "off",
    # Nothing outside the data directory is left of a server that is killed.
    "dynamic_shared_memory_type": "mmap",
}


class Templates:
    """Data directories with the ledger's empty tables, made once for each version and segment size."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def copy(self, destination: Path, *, major: int, segment_mb: int, summarize: bool) -> EmbeddedPostgres:
        """A new server's folder; not started.

        :param summarize: for incremental backups; a server that does keeps WAL for longer.
        """
        template = self._folder / f"template-{major}-{segment_mb}"
        if not template.exists():
            self._make(template, major, segment_mb)
        subprocess.run(["cp", "-a", template, destination], check=True)
        server = self._server(destination, major, segment_mb)
        if summarize and major >= 17:
            server.settings["summarize_wal"] = "on"
        return server

    def _make(self, template: Path, major: int, segment_mb: int) -> None:
        fresh = template.with_name(f"{template.name}-new")
        with self._server(fresh, major, 16) as server, server.connect() as session:
            for statement in TABLES:
                session.execute(statement)
        account = postgres_account(fresh, server.bin_dir)
        subprocess.run(
            [
                *account.prefix, server.bin_dir / "pg_resetwal", f"--wal-segsize={segment_mb}",
                "-D", server.data,
            ],
            cwd="/", user=account.uid, group=account.gid, check=True, capture_output=True,
        )  # fmt: skip
        (fresh / "port").unlink()
        fresh.rename(template)

    def _server(self, folder: Path, major: int, segment_mb: int) -> EmbeddedPostgres:
        # Checkpoints come every few segments.
        sizes = {"min_wal_size": f"{2 * segment_mb}MB", "max_wal_size": f"{3 * segment_mb}MB"}
        settings = {**_SETTINGS, **sizes}
        return EmbeddedPostgres(
            folder, bin_dir=bin_dir_of(major), settings=settings, durable=False, die_with_parent=True
        )
