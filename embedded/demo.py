"""``make demo``: back up, prove, break and restore a sample application through Airflow, as people would.

Everything goes through the DAGs and Airflow's REST API. ``admin`` asks for the restore and ``approver``
approves it, because the target's policy wants four eyes. Can be run again and again; SCALE sets the size of
the sample (1 is about 100 MB), CLIENTS how many clients are connected at the swap.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import timezone
from typing import TYPE_CHECKING, Any

from psycopg import sql
from rich.console import Console

from backstop.errors import BackstopError
from embedded.airflow_api import AirflowApi
from embedded.clients import ApplicationClients
from embedded.databases import OWNER, grant_backup_role
from embedded.errors import StackError
from embedded.files_demo import FilesDemo
from embedded.home import Home
from embedded.proving import wait_for_proofs
from embedded.stack import Stack
from embedded.steps import Steps
from embedded.story import Story, show, size

if TYPE_CHECKING:
    from embedded.airflow import EmbeddedAirflow

TARGET = "calibrify"
VICTIM = "certificates"
BACK_UP, VERIFY, RESTORE = f"back_up_database__{TARGET}", f"verify_backups__{TARGET}", "restore_database"
BASE_BACKUP, RECOVER = f"take_base_backup__{TARGET}", "restore_to_point_in_time"
WATCH = "watch_backups"
LEDGER, LEDGER_ROWS = "public.readings_of_the_day", 5000

_TABLES = """
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
ORDER BY 1, 2
"""


class Demo:
    """The steps, in order; each raises when anything is not as it should be."""

    def __init__(self, stack: Stack, steps: Steps, *, scale: float, clients: int = 20) -> None:
        self.stack = stack
        self.steps = steps
        self.scale = scale
        self.clients = clients
        self.story = Story()
        self.files = FilesDemo(stack.home, steps, self.story.files, scale=scale)

    def run(self) -> Story:
        self.stack.up(self.steps)
        server = self.stack.airflow()
        admin, approver = (_user(server, name, self.steps) for name in ("admin", "approver"))
        self.load_sample()
        self.files.write()
        for dag_id in (BACK_UP, VERIFY, RESTORE, BASE_BACKUP, RECOVER, *self.files.dags()):
            admin.wait_for_dag(dag_id)
        self.back_up(admin)
        self.prove(admin)
        self.break_it()
        self.restore(admin, approver)
        self.recover(admin, approver)
        self.files.run(admin, approver)
        self.watch(admin)
        return self.story

    def watch(self, admin: AirflowApi) -> None:
        """Every five minutes it looks by itself; now, so that the page shows how all of this ended."""
        admin.wait_for_dag(WATCH)
        with self.steps.step("Looked at by the watch") as step:
            admin.require_success(admin.trigger(WATCH))
            step.result = self.stack.airflow().page

    def load_sample(self) -> None:
        from embedded.sample import load, loaded

        postgres = self.stack.protected
        with self.steps.step(f"Sample data, SCALE={self.scale:g}") as step:
            self._drop_copies()
            known = loaded(postgres.connection())
            # A demo that was interrupted may have left its damage behind.
            intact = known is not None and known.scale == self.scale and f"public.{VICTIM}" in self._rows()
            if not intact:
                with postgres.connect() as session:
                    session.execute(
                        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(TARGET))
                    )
                known = load(
                    postgres.connection(),
                    scale=self.scale,
                    app_password=postgres.connection(TARGET, "calibrify_app").password,
                )
                # The backup role may read what exists; before PostgreSQL 18 nobody can grant the rest ahead.
                grant_backup_role(postgres)
            self.story.before = self._rows()
            step.result = (
                f"{size(known.size_bytes if known else 0)}, {sum(self.story.before.values()):,} rows"
            )

    def back_up(self, admin: AirflowApi) -> None:
        with self.steps.step("Backed up by Airflow") as step:
            run = admin.trigger(BACK_UP)
            admin.require_success(run)
            report = admin.result(run, "back_up")
            self.story.label = report["label"]
            self.story.plain_bytes, self.story.stored_bytes = report["plain_bytes"], report["stored_bytes"]
            self.story.backup_seconds = report["seconds"]
            self.story.repositories = report["repositories"]
            step.result = report["label"]

    def prove(self, admin: AirflowApi, *, timeout: float = 300.0) -> None:
        """The backup's asset has woken the verification; nobody triggers it here."""
        with self.steps.step("Proven by the verification it woke") as step:
            found = wait_for_proofs(admin, VERIFY, self.story.label, self.story.repositories, timeout=timeout)
            self.story.proofs = {name: one["seconds"]["total"] for name, one in found.items()}
            step.result = ", ".join(f"{name} in {took:.1f} s" for name, took in self.story.proofs.items())

    def break_it(self) -> None:
        with self.steps.step(f"Somebody drops table {VICTIM}") as step:
            with self.stack.protected.connect(TARGET) as session:
                session.execute(sql.SQL("DROP TABLE public.{} CASCADE").format(sql.Identifier(VICTIM)))
            self.story.broken = self._rows()
            step.result = f"{self.story.before[f'public.{VICTIM}']:,} rows are gone"

    def restore(self, admin: AirflowApi, approver: AirflowApi) -> None:
        with ApplicationClients(
            self.stack.protected.connection(TARGET, "calibrify_app"),
            question="SELECT count(*) FROM public.equipment",
            count=self.clients,
        ) as clients:
            run = admin.trigger(RESTORE, {"target": TARGET})
            with self.steps.step("admin chooses the backup in the form") as step:
                form = admin.question(run, "choose_backup")
                offered = form["params"]["backup"]["schema"]["enum"]
                if self.story.label not in offered:
                    raise StackError(f"the form does not offer {self.story.label}: {offered}")
                admin.answer(
                    run,
                    "choose_backup",
                    "Plan this restore",
                    {"backup": self.story.label, "mode": "swap", "repository": "any"},
                )
                step.result = f"{len(offered)} offered"
            with self.steps.step("approver approves the plan"):
                approver.question(run, "approve")
                approver.answer(run, "approve", "Approve")
            started = time.monotonic()
            with self.steps.step("Restored beside, validated, swapped") as step:
                admin.require_success(run)
                self.story.restore_seconds = time.monotonic() - started
                outcome: dict[str, Any] = admin.result(run, "swap")
                self.story.kept = outcome["kept"] or ""
                self.story.closed_seconds = outcome["closed_seconds"]
                step.result = f"the old one is kept as {self.story.kept}"
        self.story.downtime_seconds, self.story.interrupted = clients.downtime_seconds, clients.interrupted
        self.story.after = self._rows()
        if self.story.after != self.story.before:
            changed = [
                f"{name}: {rows:,} before, {self.story.after.get(name, 0):,} after"
                for name, rows in self.story.before.items()
                if self.story.after.get(name) != rows
            ]
            raise StackError("the restored database is not what it was: " + "; ".join(changed))

    def recover(self, admin: AirflowApi, approver: AirflowApi) -> None:
        """Rows are written and all deleted; the whole cluster goes back to just before that."""
        with self.steps.step("Base backup taken by Airflow") as step:
            run = admin.trigger(BASE_BACKUP, {"kind": "full"})
            admin.require_success(run)
            report = admin.result(run, "take")
            self.story.base_label, self.story.base_seconds = report["label"], report["seconds"]
            step.result = f"{report['label']} in {report['seconds']:.1f} s"
        with self.steps.step(f"Somebody deletes all of {LEDGER}") as step:
            point = self._write_and_delete()
            step.result = f"{self.story.written:,} rows are gone since {point}"
        run = admin.trigger(RECOVER, {"target": TARGET, "point": point, "mode": "cut over"})
        with self.steps.step("approver approves the recovery"):
            approver.question(run, "approve")
            approver.answer(run, "approve", "Approve")
        started = time.monotonic()
        with self.steps.step("Recovered beside, validated, cut over") as step:
            admin.require_success(run)
            self.story.recovery_seconds = time.monotonic() - started
            outcome = admin.result(run, "cut_over")
            self.story.replayed_bytes = admin.result(run, "recover_beside")["replayed_bytes"]
            self.story.cluster_downtime_seconds = outcome["downtime_seconds"]
            step.result = f"the old data is kept in {outcome['kept']}"
        self.story.recovered = self._count(LEDGER)
        self.story.lost = self.story.written - self.story.recovered
        if self.story.lost:
            raise StackError(f"{self.story.lost} of {self.story.written} rows did not come back")
        with self.steps.step("Protected again: WAL flows, full base backup") as step:
            run = admin.trigger(BASE_BACKUP, {"kind": "full"})
            admin.require_success(run)
            report = admin.result(run, "take")
            self.story.protected_again = f"{report['label']}, timeline {report['timeline']}"
            step.result = self.story.protected_again

    def _write_and_delete(self) -> str:
        """Rows that only WAL knows; returns the moment when all were there, as the DAG takes it."""
        table = sql.Identifier(*LEDGER.split("."))
        with self.stack.protected.connect(TARGET) as session:
            session.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
            session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
            session.execute(
                sql.SQL("CREATE TABLE {} (n int PRIMARY KEY, read_at timestamptz, value numeric)").format(
                    table
                )
            )
            session.execute(
                sql.SQL(
                    "INSERT INTO {} SELECT n, clock_timestamp(), n / 7.0 FROM generate_series(1, {}) AS n"
                ).format(table, LEDGER_ROWS)
            )
            self.story.written = self._count(LEDGER)
            row = session.execute("SELECT clock_timestamp()").fetchone()
            time.sleep(0.01)
            session.execute(sql.SQL("DELETE FROM {}").format(table))
            session.execute("RESET ROLE")
        # What exists is what the backup role may read; the next demo backs this table up too.
        grant_backup_role(self.stack.protected)
        self.story.deleted_at = row[0].astimezone(timezone.utc).isoformat() if row else ""
        return self.story.deleted_at

    def _count(self, table: str) -> int:
        with self.stack.protected.connect(TARGET) as session:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table.split(".")))
            row = session.execute(query).fetchone()
        return int(row[0]) if row else 0

    def _rows(self) -> dict[str, int]:
        """Rows per table of the live database, partitions counted with their parent."""
        counts: dict[str, int] = {}
        with self.stack.protected.connect(TARGET) as session:
            for schema, table in session.execute(_TABLES.encode()).fetchall():
                query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
                row = session.execute(query).fetchone()
                counts[f"{schema}.{table}"] = int(row[0]) if row else 0
        return counts

    def _drop_copies(self) -> None:
        """What earlier demos kept or left beside; only ever in the demo's own cluster."""
        with self.stack.protected.connect() as session:
            names = session.execute(
                "SELECT datname FROM pg_catalog.pg_database WHERE datname LIKE %s", (f"{TARGET}\\_%",)
            ).fetchall()
            for (name,) in names:
                session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _user(server: EmbeddedAirflow, name: str, steps: Steps) -> AirflowApi:
    return AirflowApi(server.url, sign_in=lambda: server.token(name), note=steps.note)


def _number(variable: str, default: float) -> float:
    text = os.environ.get(variable) or str(default)
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < 1_000_000:
        raise StackError(f"{variable}={text} is no positive number", hint=f"{variable}={default} make demo")
    return number


def main() -> int:
    """0 done; 1 something was not as it should be, said on stderr; 130 interrupted."""
    console, steps = Console(), Steps()
    try:
        scale, clients = _number("SCALE", 1), int(_number("CLIENTS", 20))
        stack = Stack(Home.from_environment())
        print(f"The demo runs in {stack.home.root}")
        show(Demo(stack, steps, scale=scale, clients=clients).run(), console)
    except BackstopError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  next: {error.hint}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        print("  next: see `make status`, then run this again", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted\n  next: run this again, or `make down` to stop", file=sys.stderr)
        return 130
    server = stack.airflow()
    print(
        f"\nDone after {steps.seconds():.0f} s. Airflow is up: {server.url}\n"
        f"  sign in as admin or approver; passwords: {server.directory / 'passwords.json'}\n"
        f"  what could be restored now: {server.page}\n"
        "  rehearse a disaster, and sign it off: .venv/bin/python -m embedded drill\n"
        "  stop with `make down`; what it holds stays"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
