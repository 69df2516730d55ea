"""An inventory with a plausible year of many targets, for measuring and for looking at pages.

Dumps daily, base backups weekly with incremental ones between, media daily, configuration now and then, two
repositories with a retention of their own, so that most of it has expired; days that were missed, proofs
that failed. The first targets each have one of :data:`TROUBLES`, the others a finding now and then.
"""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql

from backstop.repository.inventory import Inventory
from backstop.repository.observations import to_json
from tests.fleet_drills import DRILL_COLUMNS, INCIDENT_COLUMNS, rehearsed
from tests.fleet_history import S3, history, kinds_of
from tests.fleet_now import observe
from tests.fleet_troubles import KEY, TROUBLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from backstop.model.finding import Finding
    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres
    from tests.fleet_history import Made

LATE, UNPROVEN = 3, 4
"""Days since when a target of that trouble has had no dump, or no proof of one."""
STOPPED = {
    "never backed up": dict.fromkeys(("dump", "base", "tree:media", "tree:config"), 10**6),
    "late": {"dump": LATE},
    "unproven": {"proof:dump": UNPROVEN},
}


def populate(
    connection: ClusterConnection, *, targets: int = 100, days: int = 365, seed: int = 1, now: datetime
) -> list[str]:
    """Migrate the inventory, and fill it; the same for the same seed and ``now``.

    :returns: the targets' names: those of :data:`TROUBLES` first, in that order.
    """
    Inventory(connection).migrate()
    names = [name_of(number) for number in range(targets)]
    with connection.connect(autocommit=False) as session:
        for number, name in enumerate(names):
            draw = random.Random(f"{seed}/{number}")
            trouble = TROUBLES[number if number < len(TROUBLES) else 0]
            kinds = kinds_of(draw)
            stopped = STOPPED.get(trouble.name, {})
            made = list(history(name, kinds, days=days, now=now, draw=draw, stopped=stopped))
            _copy(session, "backup_inventory", _BACKUP, [_backup(one) for one in made])
            _copy(session, "backup_proof", _PROOF, [_proof(one) for one in made if one.proof_at])
            _copy(session, "backup_hold", _HOLD, _holds(made, now=now, draw=draw))
            if trouble.name != "never watched":
                seen = observe(name, kinds, made, trouble=trouble, now=now, draw=draw)
                _copy(session, "backup_observation", _OBSERVATION, [(name, seen.observed_at, to_json(seen))])
            drills, incidents = rehearsed(number, name, now=now)
            _copy(session, "backup_drill", DRILL_COLUMNS, drills)
            _copy(session, "backup_incident", INCIDENT_COLUMNS, incidents)
            _copy(
                session,
                "backup_finding",
                _FINDING,
                _findings(name, trouble.finding(name), now=now, draw=draw),
            )
    with connection.connect() as session:
        session.execute("VACUUM ANALYZE")
    return names


def make_fleet(
    server: EmbeddedPostgres, dbname: str, *, targets: int, days: int, now: datetime
) -> ClusterConnection:
    """A new database of this name, populated."""
    with server.connect() as session:
        session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(dbname)))
    connection = server.connection(dbname)
    populate(connection, targets=targets, days=days, now=now)
    return connection


def name_of(number: int) -> str:
    """``calibrify``, then the others by number."""
    return "calibrify" if number == 0 else f"system-{number:03}"


_BACKUP = (
    "backup_type filename created_at size_bytes checksum status location target label repository "
    "repository_id repository_location kind started_at finished_at plain_bytes objects encryption_keys "
    "system_id server_version database_name summary proven_at indexed_at expiry_reasons expired_at"
)
_TYPES = {
    "dump": "database dump",
    "full": "database base backup",
    "incr": "database incremental base backup",
    "tree": "files",
}


def _backup(one: Made) -> tuple[Any, ...]:
    is_tree = one.kind == "tree"
    location = "s3://backups-eu/backstop" if one.repository == S3 else "/var/backups/backstop"
    proven_at = one.proof_at if one.matched else None
    return (
        _TYPES[one.kind], f"{one.target}/meta/manifests/{one.label}.json",
        one.started_at.replace(tzinfo=None), one.stored_bytes, one.sha256, one.status,
        location, one.target, one.label, one.repository, f"id-{one.repository}", location, one.kind,
        one.started_at, one.finished_at, one.plain_bytes,
        max(3, one.stored_bytes // 10**9), [KEY], "unknown" if is_tree else "7431000000000000001",
        0 if is_tree else 180004, "app" if one.kind == "dump" else "",
        json.dumps({"files" if is_tree else "rows": one.content}), proven_at, one.finished_at,
        ["older than its retention (keep_for)"] if one.expired_at else None, one.expired_at,
    )  # fmt: skip


_PROOF = (
    "target label repository manifest_sha256 started_at finished_at matched differences seconds checks "
    "server_version isolation host signing_key"
)


def _proof(one: Made) -> tuple[Any, ...]:
    seconds = {
        "fetch": one.restore_seconds * 0.4,
        "restore": one.restore_seconds * 0.6,
        "total": one.restore_seconds,
    }
    assert one.proof_at is not None
    return (
        one.target, one.label, one.repository, one.sha256,
        one.proof_at - timedelta(seconds=one.restore_seconds), one.proof_at, one.matched,
        [] if one.matched else ["public.readings: 1200 rows, expected 1203"],
        json.dumps({name: round(value, 2) for name, value in seconds.items()}),
        json.dumps({"tables": 42, "rows": one.content}), 180004, "namespace", "worker-1", "a1b2c3d4e5f60718",
    )  # fmt: skip


_HOLD = "target label repository number document_sha256 reason who placed_at held_until"


def _holds(made: Sequence[Made], *, now: datetime, draw: random.Random) -> list[tuple[Any, ...]]:
    here = [one for one in made if one.expired_at is None]
    return [
        (
            one.target, one.label, one.repository, 1, one.sha256[::-1], "audit of the year", "ada",
            now - timedelta(days=3), None if draw.random() < 0.5 else now + timedelta(days=60),
        )
        for one in here[:2]
    ]  # fmt: skip


_OBSERVATION = "target observed_at document"
_FINDING = (
    "target check_name subject level sentence next_step opened_at level_since last_seen_at closed_at "
    "announced_at announced_level announcements reopenings"
)


def _findings(
    target: str, found: Finding | None, *, now: datetime, draw: random.Random
) -> list[tuple[Any, ...]]:
    """The one of the trouble, open; and some of the year, closed."""
    rows: list[tuple[Any, ...]] = []
    if found is not None:
        since = now - timedelta(hours=draw.randrange(1, 60))
        rows.append(
            (
                target, found.check, found.subject, found.level.value, found.sentence, found.next_step, since,
                since, now, None, since, found.level.value, 1, 0,
            )
        )  # fmt: skip
    for _ in range(draw.randrange(2, 20)):
        since = now - timedelta(days=draw.uniform(1, 360))
        until = since + timedelta(hours=draw.uniform(0.3, 30))
        rows.append(
            (
                target, "size", "dump", "warning", "the dump is 41 % smaller than the 14 before it",
                "look at what was deleted", since, since, until, until, since, "warning", 1,
                draw.randrange(2),
            )
        )  # fmt: skip
    return rows


def _copy(
    session: psycopg.Connection[tuple[Any, ...]], table: str, columns: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    statement = f"COPY public.{table} ({', '.join(columns.split())}) FROM STDIN"
    with session.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in rows:
            copy.write_row(row)
