"""``status``: what could be restored right now, by the inventory alone, as on the Recoverability page."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.cli.exit_codes import DIFFERENT, DONE
from backstop.cli.output import human_bytes, human_time, print_fields, print_json, print_table, say
from backstop.commands.recoverability.overview import read_overview
from backstop.commands.watch.configuration import judge_configuration
from backstop.credentials import default_credentials
from backstop.errors import ConfigurationError
from backstop.model.access import AccessRole
from backstop.model.figures import duration_in_words, in_short
from backstop.model.finding import Level
from backstop.model.standing import Word
from backstop.repository.findings import read_open_findings
from backstop.repository.inventory_moment import inventory_moment
from backstop.settings.arguments import utc_now
from backstop.targets import load_targets
from backstop.wiring import find_target, inventory_connection

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from datetime import datetime

    from backstop.commands.recoverability.overview import TargetRow
    from backstop.model.drill import DrillRecord
    from backstop.model.finding_state import OpenFinding
    from backstop.model.observation import AccuracySeen


def status(arguments: argparse.Namespace) -> int:
    configuration = load_targets(arguments.targets)
    names = [find_target(configuration, arguments.target).name] if arguments.target else None
    connection = inventory_connection(configuration, default_credentials(AccessRole.AUDITOR))
    if connection is None:
        raise ConfigurationError(
            "targets.yaml names no inventory, where the watch keeps what it saw",
            hint="`list` and `recovery-windows` ask the repositories; or add inventory: {conn_id: …}",
        )
    now = utc_now()
    with inventory_moment(connection) as session:
        overview = read_overview(
            session,
            targets=names or configuration.known_targets,
            now=now,
            known=list(judge_configuration(configuration.broken)),
        )
        found = read_open_findings(session, arguments.target)
    general = () if names else overview.general
    if arguments.json:
        print_json(
            {
                "targets": [_document(row, found) for row in overview.rows],
                "general": [_finding(one) for one in general],
            }
        )
    elif names:
        _print_one(overview.rows[0], found, now)
    else:
        _print_all(overview.rows, now)
        for one in general:
            say(f"{one.finding.level.value}: {one.finding.sentence}\n  next: {one.finding.next_step}")
    well = all(row.standing.word <= Word.NOTICE for row in overview.rows)
    return DONE if well and all(one.finding.level < Level.CRITICAL for one in general) else DIFFERENT


def _print_all(rows: Sequence[TargetRow], now: datetime) -> None:
    columns = ["TARGET", "STATUS", "LAST BACKUP", "LOST", "RESTORE", "STORED", "FINDINGS", "WATCHED"]
    print_table(
        columns,
        [
            [
                row.target,
                row.standing.sentence,
                _ago(row.backup_at, now),
                _duration(row.loss),
                _duration(_forecast(row)),
                human_bytes(row.stored_bytes) if row.stored_bytes is not None else "-",
                _findings(row),
                _ago(row.watched_at, now),
            ]
            for row in rows
        ],
        right=(2, 3, 4, 5),
    )


def _print_one(row: TargetRow, found: Sequence[OpenFinding], now: datetime) -> None:
    fields = [
        ("target", row.target),
        ("status", row.standing.sentence),
        ("because", "\n".join(row.standing.reasons)),
        ("restorable to", human_time(row.standing.restorable_to) if row.standing.restorable_to else "-"),
        ("proven", human_time(row.proven_at) if row.proven_at else "never"),
        ("last backup", human_time(row.backup_at) if row.backup_at else "never"),
        ("would be lost", _against(row.loss, row.rpo)),
        ("restore takes", _against(_forecast(row), row.rto)),
        ("forecasts", _hits(row.accuracy)),
        ("last drill", _drill(row.drill, now)),
        ("stored", human_bytes(row.stored_bytes) if row.stored_bytes is not None else "not known"),
        (
            "watched",
            f"{human_time(row.watched_at)} ({_ago(row.watched_at, now)})" if row.watched_at else "never",
        ),
    ]
    fields += [
        (one.finding.level.value, f"{one.finding.sentence}\nnext: {one.finding.next_step}") for one in found
    ]
    print_fields([(name, value) for name, value in fields if value])


def _document(row: TargetRow, found: Sequence[OpenFinding]) -> dict[str, Any]:
    loss, rpo, rto = (
        one.total_seconds() if one is not None else None for one in (row.loss, row.rpo, row.rto)
    )
    return {
        "target": row.target,
        "word": row.standing.word.value,
        "status": row.standing.sentence,
        "reasons": list(row.standing.reasons),
        "restorable_to": row.standing.restorable_to,
        "proven_at": row.proven_at,
        "backup_at": row.backup_at,
        "watched_at": row.watched_at,
        "loss_seconds": loss,
        "rpo_seconds": rpo,
        "restore_forecast": asdict(row.forecast) if row.forecast else None,
        "rto_seconds": rto,
        "forecast_accuracy": asdict(row.accuracy) if row.accuracy else None,
        "last_drill": _drill_document(row.drill) if row.drill else None,
        "stored_bytes": row.stored_bytes,
        "findings": [_finding(one) for one in found if one.finding.target == row.target],
    }


def _drill_document(drill: DrillRecord) -> dict[str, Any]:
    return {
        "drill_id": drill.drill_id,
        "scenario": drill.scenario,
        "ended_at": drill.ended_at,
        "passed": drill.passed,
        "objectives_met": drill.objectives_met,
        "signed_off_by": drill.sign_off.by if drill.sign_off else None,
    }


def _finding(one: OpenFinding) -> dict[str, Any]:
    return {
        "check": one.finding.check,
        "subject": one.finding.subject,
        "level": one.finding.level.value,
        "sentence": one.finding.sentence,
        "next_step": one.finding.next_step,
        "opened_at": one.opened_at,
    }


def _forecast(row: TargetRow) -> timedelta | None:
    return timedelta(seconds=row.forecast.median_seconds) if row.forecast else None


def _duration(duration: timedelta | None) -> str:
    return duration_in_words(duration) if duration is not None else "-"


def _hits(accuracy: AccuracySeen | None) -> str:
    """Empty while too few restores were measured."""
    if accuracy is None:
        return ""
    off = duration_in_words(timedelta(seconds=accuracy.median_error_seconds))
    return (
        f"{accuracy.within} of {accuracy.judged} restores took as long as their forecast said; "
        f"the middling one was off by {off}, {accuracy.median_error:.0%}"
    )


def _drill(drill: DrillRecord | None, now: datetime) -> str:
    if drill is None:
        return "never"
    words = {None: "", True: ", objectives met", False: ", an objective missed"}
    signed = f", signed off by {drill.sign_off.by}" if drill.sign_off else ", not signed off"
    result = f"{'passed' if drill.passed else 'failed'}{words[drill.objectives_met]}{signed}"
    return f"{_ago(drill.ended_at, now)} ({drill.scenario}): {result}"


def _against(measured: timedelta | None, objective: timedelta | None) -> str:
    known = duration_in_words(measured) if measured is not None else "not known"
    if objective is None:
        return known
    over = ", over the objective" if measured is not None and measured > objective else ", objective"
    return f"{known}{over} {duration_in_words(objective)}"


def _findings(row: TargetRow) -> str:
    parts = [f"{row.criticals} critical"] if row.criticals else []
    if row.warnings:
        parts.append(f"{row.warnings} warning{'s' if row.warnings > 1 else ''}")
    return ", ".join(parts) or "-"


def _ago(moment: datetime | None, now: datetime) -> str:
    return f"{in_short(now - moment)} ago" if moment else "-"
