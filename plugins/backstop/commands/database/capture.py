"""Everything that PostgreSQL has to give, out of one held snapshot, into encrypted objects.

Four things run at once: pg_dump into a directory, the fingerprint on the same snapshot, the encoders that
follow pg_dump's files, and the uploads. The first failure anywhere stops all of them. The snapshot is let
go as soon as pg_dump and the fingerprint are through, whatever is still being encoded or uploaded.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.commands.database import objects as dump_objects
from backstop.errors import BackstopError, SourceBusyError, StorageFullError, ToolError
from backstop.model.fingerprint import Fingerprint, TableContent
from backstop.postgres.catalog import read_database_properties
from backstop.postgres.dump_directory import DumpFollower
from backstop.postgres.fingerprint import take_content
from backstop.postgres.process import run_tool
from backstop.postgres.snapshot import LOCK_TIMEOUT_MS, HeldSnapshot, hold_snapshot
from backstop.postgres.toc import large_object_owners, read_toc
from backstop.postgres.tools import pg_dump_argv, pg_dumpall_argv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta
    from pathlib import Path

    from backstop.commands.object_writer import ObjectWriter
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.preflight import SourceFacts
    from backstop.postgres.tools import PostgresTools

_ENCODERS = 2


@dataclass(frozen=True, slots=True)
class Captured:
    """What one attempt read.

    :param taken_at: by the database's clock; everything committed until then is in it.
    :param lsn: up to where WAL was on the server's disk, at about the snapshot.
    :param snapshot_seconds: for how long the snapshot was held.
    """

    fingerprint: Fingerprint
    taken_at: datetime
    lsn: str
    snapshot_seconds: float


@dataclass(slots=True)
class SnapshotCapture:
    """One attempt at reading the source.

    :param folder: private, for pg_dump's files on their way to the encoders.
    :param attempt: names our sessions on the server, so that the watchdog knows whom others wait for.
    :param mode: ``full`` or ``counts``, see the fingerprint.
    """

    source: ClusterConnection
    facts: SourceFacts
    tools: PostgresTools
    folder: Path
    attempt: str
    jobs: int
    mode: str
    snapshot_max: timedelta
    _stop: threading.Event = field(default_factory=threading.Event)
    _held: HeldSnapshot | None = None

    def run(self, writer: ObjectWriter) -> Captured:
        """Read everything once; what was read is on its way to the repositories when this returns.

        :raises SourceBusyError: the application had to wait for us; try again.
        """
        dump = self.folder / "dump"
        dump.mkdir(mode=0o700)
        globals_path = self.folder / dump_objects.GLOBALS
        pack = dump_objects.Pack(writer)
        with DumpFollower(dump) as follower:

            def give_up() -> None:
                self._stop.set()
                if self._held is not None:
                    self._held.stop.set()
                follower.abort()

            jobs: dict[str, Callable[[], Any]] = {
                "snapshot": lambda: self._read_snapshot(dump, follower),
                "globals": lambda: self._dump_globals(globals_path),
            }
            for number in range(_ENCODERS):
                jobs[f"encode-{number}"] = lambda: dump_objects.encode_dump(follower, pack, writer)
            read: _Read = run_together(jobs, on_failure=give_up)["snapshot"]
        pack.finish()
        toc = read_toc(dump, self.tools).with_texts(read.large_object_owners)
        fingerprint = Fingerprint(
            tables=read.tables,
            large_objects=read.large_objects,
            sequences=toc.sequences,
            schema=toc.schema,
            database=read.properties,
            materialized_views=read.materialized_views,
            bootstrap_superuser=self.facts.bootstrap_superuser,
        )
        dump_objects.write_globals(globals_path, writer)
        dump_objects.write_fingerprint(fingerprint, writer)
        dump_objects.write_toc(dump, writer)
        return Captured(fingerprint, read.taken_at, read.lsn, read.seconds)

    def _read_snapshot(self, dump: Path, follower: DumpFollower) -> _Read:
        with hold_snapshot(self.source, attempt=self.attempt, max_age=self.snapshot_max) as held:
            self._held = held
            if self._stop.is_set():
                held.stop.set()
            started = time.monotonic()
            properties = read_database_properties(held.session)
            owners = large_object_owners(held.session)
            together = run_together(
                {
                    "pg_dump": lambda: self._pg_dump(dump, held),
                    "fingerprint": lambda: take_content(
                        self.source,
                        tables=held.tables,
                        snapshot_id=held.snapshot_id,
                        jobs=self.jobs,
                        mode=self.mode,
                        attempt=self.attempt,
                        stop=held.stop,
                    ),
                },
                on_failure=held.stop.set,
            )
            seconds = time.monotonic() - started
        follower.finish()
        tables, large_objects = together["fingerprint"]
        return _Read(
            tuple(tables),
            large_objects,
            owners,
            properties,
            held.materialized_views,
            held.taken_at,
            held.lsn,
            seconds,
        )

    def _pg_dump(self, dump: Path, held: HeldSnapshot) -> None:
        argv = pg_dump_argv(
            self.tools,
            directory=dump,
            jobs=self.jobs,
            snapshot_id=held.snapshot_id,
            lock_wait_timeout_ms=LOCK_TIMEOUT_MS,
        )
        with self.source.child_environment(
            self.folder, application_name=held.application_name, encoding=self.facts.encoding
        ) as environment:
            try:
                run_tool(argv, env=environment, stop=held.stop)
            except ToolError as error:
                raise _explained(error, self.folder) from error

    def _dump_globals(self, path: Path) -> None:
        argv = pg_dumpall_argv(
            self.tools, database=self.source.dbname, role_passwords=self.facts.role_passwords
        )
        with self.source.child_environment(self.folder, encoding=self.facts.encoding) as environment:
            try:
                run_tool(argv, env=environment, stop=self._stop, stdout_to=path)
            except ToolError as error:
                raise _explained(error, self.folder) from error


@dataclass(frozen=True, slots=True)
class _Read:
    """What came out of the snapshot besides pg_dump's files."""

    tables: tuple[TableContent, ...]
    large_objects: TableContent
    large_object_owners: Mapping[str, str]
    properties: Mapping[str, Any]
    materialized_views: tuple[str, ...]
    taken_at: datetime
    lsn: str
    seconds: float


def _explained(error: ToolError, folder: Path) -> BackstopError:
    """A program's complaint as the error that says whether to try again."""
    if "lock timeout" in error.message or "could not obtain lock" in error.message:
        return SourceBusyError(
            f"a table could not be locked: {error.message}", hint="a schema change is under way"
        )
    if "No space left on device" in error.message:
        return StorageFullError(f"no space left in {folder}", hint="free space there, then run again")
    return error


def run_together(jobs: dict[str, Callable[[], Any]], *, on_failure: Callable[[], None]) -> dict[str, Any]:
    """Run every job in a thread of its own; the first failure, or an interrupt here, stops the others.

    :param on_failure: makes the others end soon.
    :returns: each job's result.
    :raises BaseException: the first failure, after all jobs have ended.
    """
    with ThreadPoolExecutor(max_workers=len(jobs)) as pool:
        futures: dict[str, Future[Any]] = {name: pool.submit(job) for name, job in jobs.items()}
        try:
            for future in as_completed(futures.values()):
                future.result()
        except BaseException:
            on_failure()
            raise
    return {name: future.result() for name, future in futures.items()}
