"""The settings under which a restored data directory is recovered: on the command line, none inherited.

A data directory brings settings of its own (``postgresql.auto.conf``, on many systems ``postgresql.conf``),
made for another place: an archive to write to, standbys to wait for, subscriptions to consume. Only what is
given to the postmaster itself takes precedence over all of them.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from backstop.errors import RestoreError

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.postgres.control_data import ControlData

StopKind = Literal["time", "lsn", "name", "xid", "immediate", "latest"]
OLDEST_MAJOR = 15

_TARGETS = ("time", "lsn", "name", "xid")

_FIXED = {
    # Nobody but us reaches it, and it reaches nobody.
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "ssl": "off",
    "bonjour": "off",
    "external_pid_file": "",
    # It disturbs nothing that the cluster it comes from has to do with.
    "archive_mode": "off",
    "archive_command": "",
    "archive_library": "",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "synchronous_standby_names": "",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_sync_workers_per_subscription": "0",
    # Programs that its old place had it run.
    "archive_cleanup_command": "",
    "recovery_end_command": "",
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    # Positions of subscriptions are restored at start-up and want places; how many is written nowhere.
    "max_replication_slots": "256",
    # Nobody connects before the end has been looked at.
    "hot_standby": "off",
    # What a crash could spoil is thrown away and made again; what stays is synced afterwards.
    "fsync": "off",
    "synchronous_commit": "off",
    # Restart points would only write what is thrown away after a failure.
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "jit": "off",
    "huge_pages": "off",
    # Read back by recovery_log.py; in English, with times that have a zone. Rows stay out of it.
    "lc_messages": "C",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] ",
    "log_min_messages": "warning",
    "log_startup_progress_interval": "1s",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "default",
}
_SINCE_18 = {"io_method": "sync", "max_active_replication_origins": "256"}


@dataclass(frozen=True, slots=True)
class RecoveryStop:
    """Where recovery ends (PostgreSQL docs, 20.5.6).

    :param value: a time with its zone, an LSN, a restore point's name or a transaction id; empty for the
        other two kinds.
    :param inclusive: whether what lies exactly there is part of the result.
    :param timeline: which one to follow; None the one of the base backup.
    """

    kind: StopKind = "latest"
    value: str = ""
    inclusive: bool = True
    timeline: int | None = None


def recovery_settings(
    control: ControlData,
    stop: RecoveryStop,
    *,
    major: int,
    files: Path,
    restore_command: str,
    shared_buffers: str = "256MB",
    preload: str = "",
) -> dict[str, str]:
    """Everything for the postmaster's command line.

    :param files: directory that :func:`write_server_files` has filled.
    :param preload: ``shared_preload_libraries``, for clusters whose WAL only their extensions can replay.
    :raises RestoreError: that cluster cannot be recovered.
    """
    if major < OLDEST_MAJOR:
        raise RestoreError(
            f"this cluster is of PostgreSQL {major}; recovery knows {OLDEST_MAJOR} and later",
            hint="restore a dump of it instead",
        )
    if control.wal_level == "minimal":
        raise RestoreError(
            "the cluster was backed up with wal_level = minimal, which cannot be recovered from an archive",
            hint="set wal_level to replica and take a new base backup",
        )
    return {
        **_FIXED,
        **(_SINCE_18 if major >= 18 else {}),
        # Memory for sessions that nobody opens; what recovery itself needs (prepared transactions, above
        # all) must not be less than where the WAL was written.
        **control.settings,
        "wal_level": control.wal_level,
        "config_file": str(files / "postgresql.conf"),
        "hba_file": str(files / "pg_hba.conf"),
        "ident_file": str(files / "pg_ident.conf"),
        "shared_buffers": shared_buffers,
        "shared_preload_libraries": preload,
        "restore_command": restore_command,
        **_stop_settings(stop),
    }


def settings_of_a_clone(settings: dict[str, str]) -> dict[str, str]:
    """The same for a server that has been recovered already and is started again, still on its own."""
    dropped = {"restore_command", "recovery_target", "recovery_target_timeline", "recovery_target_action"}
    dropped |= {f"recovery_target_{kind}" for kind in (*_TARGETS, "inclusive")}
    return {name: value for name, value in settings.items() if name not in dropped}


def restore_command(script: Path, spool: Path) -> str:
    """The command line for PostgreSQL's setting; it replaces ``%f`` and ``%p``, and ``%%`` by ``%``."""
    places = (shlex.quote(str(place)).replace("%", "%%") for place in (script, spool))
    return " ".join(["/bin/sh", *places, '"%f"', '"%p"'])


def write_server_files(folder: Path) -> None:
    """The files a postmaster insists on: no settings, and a way in for whoever can reach the socket."""
    folder.mkdir(mode=0o755)
    for name, content in {
        "postgresql.conf": "# All settings are given on the command line.\n",
        # The socket lies in a directory that only one user may enter.
        "pg_hba.conf": "local all all trust\n",
        "pg_ident.conf": "",
    }.items():
        path = folder / name
        path.write_text(content, encoding="ascii")
        path.chmod(0o644)
    folder.chmod(0o755)


def _stop_settings(stop: RecoveryStop) -> dict[str, str]:
    targets = {kind: f"recovery_target_{kind}" for kind in _TARGETS} | {"immediate": "recovery_target"}
    chosen = {targets[stop.kind]: stop.value or "immediate"} if stop.kind in targets else {}
    return {
        # A cluster that was itself recovered may have kept its own; two targets are refused. Empty ones
        # first: even setting one to nothing is refused once another is set.
        **{name: "" for name in targets.values() if name not in chosen},
        **chosen,
        "recovery_target_inclusive": "on" if stop.inclusive else "off",
        "recovery_target_timeline": str(stop.timeline) if stop.timeline is not None else "current",
        "recovery_target_action": "promote",
    }
