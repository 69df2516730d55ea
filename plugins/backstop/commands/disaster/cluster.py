"""A whole server that is lost: recovered to a point in time beside, validated, then cut over."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.commands.disaster.component import Condition, Found, Phases
from backstop.commands.disaster.server import (
    START_IT,
    ask_server,
    judge_database,
    judges_us,
    newest_dump,
)
from backstop.commands.disaster.unmounted import unmounted_above
from backstop.commands.recovery.cut_over import (
    check_cut_over,
    cut_over,
    refuse_unfit_place,
    reopen_cluster,
    reserve_slot,
)
from backstop.commands.recovery.recover import PointInTimeRestore
from backstop.commands.recovery.summary import result_document, result_from
from backstop.errors import (
    BackstopError,
    CommandError,
    ConfigurationError,
    RecoveryImpossibleError,
    SourceUnavailableError,
)
from backstop.model.canonical import format_time, parse_time
from backstop.model.recovery import RecoveryTarget, TargetKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.database.swap import ApplicationCommands
    from backstop.commands.disaster.component import Run, Sources
    from backstop.commands.progress import Progress
    from backstop.commands.recovery.recover import RecoverSettings
    from backstop.commands.recovery.result import RecoveryResult
    from backstop.model.recovery import RecoveryPlan
    from backstop.postgres.connection import ClusterConnection


@dataclass(frozen=True, slots=True)
class ClusterComponent:
    """One PostgreSQL server, on its own host.

    :param reader: to the target's database, to see whether it answers.
    :param live: the live data directory; None: nobody says how the server is replaced.
    :param settings: of a recovery that begins now: each goes to a directory of its own.
    :param replication: to make the slot again; :param slot: its name; empty: WAL is not received by one.
    """

    reader: ClusterConnection
    live: Path | None
    commands: ApplicationCommands | None
    settings: Callable[[datetime], RecoverSettings]
    replication: Callable[[], ClusterConnection]
    slot: str
    clock: Callable[[], datetime]
    progress: Progress

    @property
    def kind(self) -> str:
        return "base"

    def look(self, sources: Sources) -> Found:
        place, missing = self._directory()
        try:
            seen = ask_server(self.reader)
        except SourceUnavailableError as error:
            # A server that is slow, stopped, or behind a broken network has lost nothing.
            condition = Condition.GONE if missing else Condition.UNKNOWN
            what_next = () if missing else (START_IT,)
            said = f"the server does not answer: {error.message}"
            return Found(condition, said, (*((place,) if place else ()), *what_next))
        except BackstopError as error:
            said = f"the server answers, and refuses us: {error.message}"
            gone = missing and not judges_us(error)
            condition = Condition.GONE if gone else Condition.UNKNOWN
            return Found(condition, said, (place,) if place else ())
        if missing:
            # Without its files no server lets anybody in: it runs elsewhere, or they are hidden from us.
            said = f"a server answers and can be read, and {place} here: is this its machine?"
            return Found(Condition.UNKNOWN, said)
        stranger = self._stranger(seen.system_id, sources)
        if stranger:
            said = f"{stranger}: correct host and port of the connection"
            return Found(Condition.UNKNOWN, said, (place,) if place else ())
        found = judge_database(self.reader.dbname, seen, newest_dump(sources))
        # The server is there: a database that is not is damage to it.
        condition = Condition.DAMAGED if found.condition is Condition.GONE else found.condition
        return Found(condition, found.sentence, (*found.details, *((place,) if place else ())))

    def recover(self, part: Mapping[str, Any], sources: Sources, run: Run) -> dict[str, Any]:
        live, commands = self._replaceable()
        earlier = run.earlier
        if earlier.get("at") == "cut over":
            done = self._after_a_killed_cut_over(earlier, live, commands)
            if done is not None:
                return done
        phases = Phases(self.clock)
        settings = self.settings(self.clock())
        # Refused now: an hour later would be too late to learn that it cannot take the live one's place.
        refuse_unfit_place(live, beside=settings.destination)
        restore, plan = self._plan(part, sources, settings)
        result = restore.run(plan)
        self._split(phases, result)
        live_inode = check_cut_over(result, live=live)
        facts = self._facts(part, restore, plan, result)
        run.reach(
            at="cut over",
            result=result_document(result),
            live_inode=live_inode,
            facts={**facts, "phases": phases.documents},
        )
        outcome = cut_over(result, live=live, cluster=commands, now=self.clock())
        phases.ended("cut over")
        return {
            **facts,
            "phases": phases.documents,
            "kept": [outcome.kept] if outcome.kept else [],
            "notes": [*facts["notes"], *outcome.notes, *self._protect(), outcome.unprotected],
        }

    def _directory(self) -> tuple[str, bool]:
        """A sentence on the data directory, and whether it is missing."""
        if self.live is None:
            return "", False
        if (hidden := unmounted_above(self.live)) is not None:
            return f"{hidden} of /etc/fstab is not mounted: mount it, then look again", False
        try:
            with os.scandir(self.live) as entries:
                names = {entry.name for entry in entries}
        except FileNotFoundError:
            return f"{self.live} does not exist", True
        except OSError as error:
            return f"{self.live} cannot be looked into: {error.strerror}", False
        lost = [name for name in ("PG_VERSION", "base", "global", "pg_wal") if name not in names]
        if lost:
            return f"{self.live} has no {', '.join(lost)}", True
        return f"{self.live} is there", False

    def _stranger(self, system_id: str, sources: Sources) -> str:
        """What is wrong with the cluster that answers, in words; empty: it is the one that was backed up."""
        for repository in sources.repositories:
            try:
                bases = repository.catalog.backups().base_backups
            except BackstopError:
                continue
            if bases and all(one.manifest.system_id != system_id for one in bases):
                known = bases[-1].manifest.system_id
                return f"cluster {system_id} answers; what was backed up is cluster {known}"
            if bases:
                return ""
        return ""

    def _replaceable(self) -> tuple[Path, ApplicationCommands]:
        if self.live is None or self.commands is None:
            raise ConfigurationError(
                "cluster.recovery.cutover is not there: nobody knows how the server is replaced",
                hint="describe it (docs/targets.md); or recover beside: `restore-to-point-in-time`",
            )
        return self.live, self.commands

    def _plan(
        self, part: Mapping[str, Any], sources: Sources, settings: RecoverSettings
    ) -> tuple[PointInTimeRestore, RecoveryPlan]:
        repository, others = sources.named(part["repository"])
        restore = PointInTimeRestore(
            repository=repository,
            target=sources.target,
            keyring=sources.keyring(),
            settings=settings,
            clock=self.clock,
            progress=self.progress,
            others=others,
        )
        goal = RecoveryTarget.parse(
            part["point"],
            timeline=part["timeline"],
            # Just before the mistake: what was committed at that very moment may be it.
            inclusive=not part["point"].startswith("time:"),
            base=part["label"],
        )
        try:
            return restore, restore.plan(goal)
        except RecoveryImpossibleError as error:
            nearest = error.nearest
            if goal.kind is not TargetKind.TIME or not isinstance(nearest, RecoveryTarget):
                raise
            if nearest.kind is not TargetKind.LATEST or nearest.base != goal.base:
                raise
            # Nothing was committed between the last commit and that moment: the end is the state then.
            return restore, restore.plan(nearest)

    def _facts(
        self, part: Mapping[str, Any], restore: PointInTimeRestore, plan: RecoveryPlan, result: RecoveryResult
    ) -> dict[str, Any]:
        last = format_time(result.last_commit_at) if result.last_commit_at else None
        return {
            "recovered_to": part["recovered_to"],
            "last_commit_at": last,
            "end_lsn": result.end_lsn,
            "label": plan.chain[-1],
            "repository": restore.repository.name,
            "bytes": part["bytes"],
            "segments": plan.segment_count,
            "kept": [],
            "notes": [*result.healed, *result.warnings],
        }

    def _split(self, phases: Phases, result: RecoveryResult) -> None:
        """One stretch, told apart by what the recovery itself measured: fetch, replay, validate."""
        phases.ended("recover")
        [whole] = phases.documents
        phases.documents[:] = phases_within(whole, result.seconds)

    def _after_a_killed_cut_over(
        self, earlier: Mapping[str, Any], live: Path, commands: ApplicationCommands
    ) -> dict[str, Any] | None:
        """A whole data directory under the live name and a server; facts when it is the recovered one."""
        result = result_from(earlier["result"])
        if not os.path.lexists(live) and earlier["live_inode"] is None:
            return None  # there was none, and nothing was put there
        try:
            reopen_cluster(
                live, commands, live_inode=earlier["live_inode"], recovered_inode=result.data_inode
            )
        except CommandError:
            # It may have been started before whoever did it was killed, and no command starts a server twice.
            if not self._answers(result.system_id):
                raise
        if live.stat().st_ino != result.data_inode:
            return None
        kept = sorted(str(path) for path in live.parent.glob(f"{live.name}-before-*"))
        facts = dict(earlier["facts"])
        notes = [*facts["notes"], "the cut-over was interrupted, and ended by another run", *self._protect()]
        return {**facts, "kept": kept[-1:], "notes": notes}

    def _answers(self, system_id: str) -> bool:
        try:
            return ask_server(self.reader).system_id == system_id
        except BackstopError:
            return False

    def _protect(self) -> list[str]:
        if not self.slot:
            return []
        try:
            reserve_slot(self.replication(), self.slot)
        except BackstopError as error:
            return [f"slot {self.slot} could not be made: {error.message}"]
        return []


def phases_within(whole: Mapping[str, str], seconds: Mapping[str, float]) -> list[dict[str, str]]:
    """Cut one stretch into what was measured inside it, in order; what is left over belongs to the last."""
    at, end = parse_time(whole["began_at"]), parse_time(whole["ended_at"])
    found: list[dict[str, str]] = []
    names = {"plan": "plan", "fetch": "fetch", "recover": "replay", "validate": "validate"}
    for name in (one for one in names if one in seconds):
        until = min(at + timedelta(seconds=seconds[name]), end)
        found.append({"name": names[name], "began_at": format_time(at), "ended_at": format_time(until)})
        at = until
    if found:
        found[-1]["ended_at"] = format_time(end)
    return found or [dict(whole)]
