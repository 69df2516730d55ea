"""One disaster: what the dice say, how it happens, and what must hold of what is brought back."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from backstop.commands.progress import Silent
from backstop.commands.recovery.recover import PointInTimeRestore, RecoverSettings
from backstop.errors import RecoveryImpossibleError
from backstop.model.backup import BackupKind
from backstop.model.lsn import Lsn
from backstop.model.recovery import RecoveryTarget, TargetKind
from backstop.settings.arguments import utc_now
from tests.long.disaster_plan import NOTHING, Plan
from tests.long.judgement import judge, judge_latest
from tests.long.ledger import Ledger, Load, ask, do
from tests.long.wal_clone import recovered_transactions
from tests.long.wal_site import FAR, LINE_HANGS, NEAR, TARGET, Site, safe_until
from tests.long.wal_truth import Commit, commits, of_ledger

if TYPE_CHECKING:
    import random


ACCOUNT = "nobody" if os.geteuid() == 0 else ""
_RESTORE_POINT = "before_it"


@dataclass
class Disaster:
    """Carries a plan out on a site. ``facts`` is what a campaign notes."""

    plan: Plan
    site: Site
    dice: random.Random
    ledger: Ledger = field(default_factory=Ledger)
    facts: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        self._live()
        claims = {name: safe_until(self.states_before, name) for name in (NEAR, FAR)}
        truth = self._truth()
        self._bury_server()
        repository = self._chosen_repository()
        target, expected = RecoveryTarget.parse("latest"), None
        if self.plan.strike != NOTHING:
            target, expected = self._goal(truth, repository)
            self._recover(target, repository)
        result = self._result
        found = recovered_transactions(
            self.site.folder / "out" / "clone", bin_dir=self.site.server.bin_dir, account=ACCOUNT
        )
        if expected is None:
            judge_latest(self, truth, found, result, claims[repository], repository)
        else:
            judge(expected, found)
        self.facts["ended"] = f"{self.plan.strike} killed, recovered to {target.kind.value}"

    # -- What happens ----------------------------------------------------------------------------------------

    def _live(self) -> None:
        plan, site = self.plan, self.site
        site.start_receiver()
        with site.server as server:
            self._begin = Lsn.parse(ask(self.site.server, "SELECT pg_current_wal_flush_lsn()"))
            load = Load(server, self.ledger, clients=plan.clients, dice=self.dice)
            with load:
                site.wait("the receiver works", self._both_work)
                self._base = site.take_base_backup(BackupKind.FULL)
                for _ in range(plan.incrementals if plan.major >= 17 else 0):
                    self._pause(self.dice.uniform(0.1, 0.5))
                    self._base = site.take_base_backup(BackupKind.INCREMENTAL)
                self._pause(self.dice.uniform(0.2, 1.0))
                if plan.before:
                    self._go_wrong()
                self._pause(plan.quiet_seconds)
                self._note_restore_point()
                self._pause(self.dice.uniform(0.1, 1.0))
                self._strike(load)

    def _both_work(self) -> bool:
        states = self.site.states
        return bool(states) and [one["standing"] for one in states[-1]["repositories"].values()] == [
            "working",
            "working",
        ]

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(0.4, max(0.0, end - time.monotonic())))
            if self.plan.switches and self.site.server.pid is not None:
                ask(self.site.server, "SELECT pg_switch_wal()")

    def _forget_confirmed(self) -> None:
        """The server removes the WAL that nobody needs, as far as it has been told."""
        for _ in range(2):
            do(self.site.server, "CHECKPOINT")

    def _go_wrong(self) -> None:
        plan, site = self.plan, self.site
        if plan.before.startswith("server"):
            if plan.before == "server killed":
                site.kill_server()
            else:
                site.server.stop()
            time.sleep(plan.lasts_seconds / 2)
            site.server.start()
            return
        if plan.before == "receiver killed":
            site.kill_receiver()
            if plan.spool_lost:
                site.lose_spool()
            self._pause(plan.lasts_seconds)
            self._forget_confirmed()
            site.start_receiver()
            return
        how = plan.before.partition(" ")[2]
        if plan.before == LINE_HANGS:
            site.line.hang()
        elif plan.before.startswith(NEAR):
            site.near_goes_away()
        else:
            site.far_goes_away(how)
        self._pause(plan.lasts_seconds)
        if plan.heals:
            self._heal()

    def _heal(self) -> None:
        if self.plan.before == LINE_HANGS:
            self.site.line.go_on()
        elif self.plan.before.startswith(NEAR):
            self.site.near_comes_back()
        else:
            self.site.far_comes_back(self.plan.before.partition(" ")[2])

    def _heal_at_last(self) -> None:
        """What was lost besides is found again: recovery may begin, or the receiver come back."""
        if (self._away or self.plan.before == LINE_HANGS) and not self.plan.heals:
            self._heal()

    @property
    def _away(self) -> str:
        """The repository that was out of reach at some time."""
        return self.plan.before.split(" ", 1)[0] if self.plan.before.startswith((NEAR, FAR)) else ""

    def _note_restore_point(self) -> None:
        self._named = Lsn.parse(ask(self.site.server, f"SELECT pg_create_restore_point('{_RESTORE_POINT}')"))

    def _strike(self, load: Load) -> None:
        plan, site = self.plan, self.site
        self.everything_worked = not plan.before and self._both_work()
        if plan.strike == "receiver":
            self._lose_receiver_only(load)
        elif plan.strike == NOTHING:
            # A clone of a server that lives and writes on: the archive grows while it is made.
            self._heal_at_last()
            self.states_before = list(site.states)
            self.struck_at = datetime.now(timezone.utc)
            self._recover(RecoveryTarget.parse("latest"), self._chosen_repository())
            site.wait("the receiver still works", lambda: site.states[-1]["connected"])
            site.kill_server()
        elif plan.strike == "receiver and server":
            site.kill_receiver()
            self.struck_at = datetime.now(timezone.utc)
            self.states_before = list(site.states)
            if plan.spool_lost:
                site.lose_spool()
            time.sleep(self.dice.uniform(0, 0.05))
            site.kill_server()
        else:
            self.states_before = list(site.states)
            site.kill_server()
            self.struck_at = datetime.now(timezone.utc)
            if plan.strike == "server":
                # It stores what it has received by then, and waits for a server that does not come back.
                time.sleep(self.dice.uniform(0, 1.5))
            site.kill_receiver()
            if plan.spool_lost:
                site.lose_spool()
        load.end()
        if plan.strike not in ("receiver", NOTHING):
            self._heal_at_last()

    def _lose_receiver_only(self, load: Load) -> None:
        """The server lives on: whatever was lost on the way, it still has, and nothing may be missing."""
        site = self.site
        if self.plan.segment_mb == 1:
            # Some segments on their way: received, not stored yet.
            do(
                self.site.server,
                "SELECT pg_logical_emit_message(true, 'x', repeat('x', 500000)) FROM generate_series(1, 9)",
            )
            time.sleep(self.dice.uniform(0, 0.1))
        site.kill_receiver()
        if self.plan.spool_lost:
            site.lose_spool()
        self._pause(self.dice.uniform(0, 1.0))
        self._heal_at_last()
        self._forget_confirmed()
        site.states.clear()
        site.start_receiver()
        self._pause(self.dice.uniform(0.2, 1.0))
        site.wait("the receiver works again", lambda: bool(site.states))
        load.end()
        end = Lsn.parse(ask(self.site.server, "SELECT pg_current_wal_flush_lsn()"))
        for name in (NEAR, FAR):
            site.wait_until_archived(name, end)
        self.states_before = list(site.states)
        self.complete = True
        site.kill_receiver()
        site.kill_server()
        self.struck_at = datetime.now(timezone.utc)

    complete: bool = False
    everything_worked: bool = False

    # -- What is expected ------------------------------------------------------------------------------------

    def _truth(self) -> list[Commit]:
        self.site.witness()
        found = commits(self.site.witnessed, self._begin, bin_dir=self.site.server.bin_dir)
        return of_ledger(found, self.ledger)

    def _bury_server(self) -> None:
        """Recovery has the repositories alone."""
        self.site.server.directory.rename(self.site.folder / "lost-server")
        self.site.lose_spool()

    def _chosen_repository(self) -> str:
        """With a repository that was away, the other one has what counts."""
        if self._away and self.site.synchronous:
            return NEAR if self._away == FAR else FAR
        return self.plan.repository

    def _goal(self, truth: list[Commit], repository: str) -> tuple[RecoveryTarget, list[Commit] | None]:
        """Where to go, and what must be there; None where that is a question of what was stored."""
        kind = self.plan.goal
        said = self.states_before[-1]["repositories"][repository]["position"] if self.states_before else None
        stored, begins = Lsn.parse(said or "0/0"), Lsn.parse(self._base.end_lsn)
        usable = [
            number
            for number, commit in enumerate(truth[:-1])
            if commit.lsn >= begins and commit.at > self._base.finished_at and truth[number + 1].lsn <= stored
        ]
        if kind == "name" and begins <= self._named <= stored:
            return self._parsed(f"name:{_RESTORE_POINT}"), [one for one in truth if one.lsn < self._named]
        if kind in ("latest", "name") or not usable:
            return RecoveryTarget.parse("latest"), None
        number = self.dice.choice(usable)
        commit = truth[number]
        if kind == "time":
            # The first commit beyond it ends recovery, also where a later one has an earlier time.
            def beyond(one: Commit) -> bool:
                return one.at > commit.at or (one.at == commit.at and not self.plan.inclusive)

            stop = next(n for n, one in enumerate(truth) if beyond(one) or n == len(truth) - 1)
            return self._parsed(f"time:{commit.at.isoformat()}"), truth[:stop]
        goal = f"lsn:{commit.lsn}" if kind == "lsn" else f"xid:{commit.xid}"
        return self._parsed(goal), truth[: number + self.plan.inclusive]

    def _parsed(self, text: str) -> RecoveryTarget:
        return RecoveryTarget.parse(text, inclusive=self.plan.inclusive)

    def _recover(self, target: RecoveryTarget, repository: str) -> None:
        out = self.site.folder / "out"
        out.mkdir()
        out.chmod(0o755)
        restore = PointInTimeRestore(
            repository=self.site.repository(repository),
            target=TARGET,
            keyring=self.site.keyring,
            settings=RecoverSettings(
                destination=out / "clone", account=ACCOUNT, check_pages=self.plan.check_pages
            ),
            clock=utc_now,
            progress=Silent(),
            others=[]
            if self.plan.alone
            else [one for one in self.site.repositories if one.name != repository],
        )
        began = time.monotonic()
        try:
            plan = restore.plan(target)
        except RecoveryImpossibleError as refusal:
            # Uploads go side by side: one that was cut off can leave a hole before another that was not.
            nearest = refusal.nearest
            if target.kind is not TargetKind.LATEST or nearest is None or nearest.kind is not target.kind:
                raise
            self.facts["refused"] = "latest, and had up to the hole"
            plan = restore.plan(nearest)
        self._result = restore.run(plan)
        # A segment that pg_switch_wal ended early stands for its rest, stored or not.
        size_bytes = self.plan.segment_mb * 1024**2
        segment_end = Lsn(-(-plan.end_lsn.position // size_bytes) * size_bytes)
        end = Lsn.parse(self._result.end_lsn)
        assert end <= plan.end_lsn or end == segment_end, "recovered beyond the plan"
        self.facts["recovery seconds"] = round(time.monotonic() - began, 2)
