"""Up, down and status of the whole stack."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from backstop.errors import ConfigurationError
from backstop.model.access_policy import Place
from backstop.targets import load_targets
from embedded import airflow, configuration, databases, roles
from embedded.accounts import postgres_account
from embedded.airflow import EmbeddedAirflow
from embedded.airflow_api import AirflowApi
from embedded.cluster import ENVIRONMENT
from embedded.errors import StackError
from embedded.home import CHECKOUT, Home
from embedded.pools import give_pools
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from embedded.receiver import WalReceiver
from embedded.sample import write_config
from embedded.seaweedfs import EmbeddedSeaweedFS

if TYPE_CHECKING:
    from embedded.steps import Steps

PORT_VARIABLES = {
    "airflow": "BACKSTOP_AIRFLOW_PORT",
    "s3": "BACKSTOP_S3_PORT",
    "protected": "BACKSTOP_PG_PORT",
    "metadata": "BACKSTOP_METADATA_PORT",
}


@dataclass(frozen=True)
class Part:
    """One process of the stack, for `status`."""

    name: str
    address: str
    pid: int | None
    health: str
    memory_bytes: int = 0


class Stack:
    """The stack below one home; nothing is started by constructing it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        named = os.environ.get("BACKSTOP_PG_BIN")
        bin_dir = Path(named) if named else pip_postgres_bin()
        if not (bin_dir / "initdb").exists():
            raise StackError(
                f"{bin_dir} has no initdb", hint="point BACKSTOP_PG_BIN to a PostgreSQL server's bin folder"
            )
        self.metadata = EmbeddedPostgres(
            home.metadata, bin_dir=bin_dir, port=_port("metadata"), settings={"max_connections": "200"}
        )
        self.protected = EmbeddedPostgres(
            home.protected,
            bin_dir=bin_dir,
            port=_port("protected"),
            settings={"max_connections": "300", **_for_base_backups(bin_dir)},
        )
        self.seaweedfs = EmbeddedSeaweedFS(
            home.seaweedfs, port=_port("s3"), buckets=[configuration.BUCKET], users=roles.USERS
        )

    def airflow(self) -> EmbeddedAirflow:
        """Known once the metadata cluster is: its password is part of the configuration."""
        return EmbeddedAirflow(
            self.home.airflow,
            metadata=self.metadata.connection("airflow", "airflow"),
            dags=CHECKOUT / "dags",
            plugins=CHECKOUT / "plugins",
            connections_file=self.home.connections,
            environment=configuration.variables(self.home),
            port=_port("airflow"),
        )

    def receiver(self) -> WalReceiver:
        return WalReceiver(self.home.receiver, "calibrify", configuration.variables(self.home))

    # -- Up --------------------------------------------------------------------------------------------------

    def up(self, steps: Steps, *, without_airflow: bool = False) -> None:
        """Bring up whatever does not run. Each step can be repeated, so a start cut short is continued.

        :param without_airflow: everything else, for the command line alone.
        """
        self.home.prepare()
        with self.home.lock(), ThreadPoolExecutor(1) as background:
            with steps.step("PostgreSQL for metadata") as step:
                self.metadata.start()
                databases.prepare_metadata(self.metadata)
                step.result = f"127.0.0.1:{self.metadata.port}"
            server = self.airflow()
            if not without_airflow:
                server.configure()
                # Creating Airflow's tables takes as long as all that follows up to Airflow itself.
                migration = background.submit(server.migrate)
            with steps.step("PostgreSQL to protect") as step:
                self.protected.start()
                databases.prepare_protected(self.protected)
                step.result = f"127.0.0.1:{self.protected.port}, database calibrify"
            with steps.step("S3 (SeaweedFS)") as step:
                self.seaweedfs.start()
                roles.grant_roles(roles.client_of(self.seaweedfs), Place(configuration.BUCKET))
                step.result = f"{self.seaweedfs.endpoint_url}, bucket {configuration.BUCKET}"
            with steps.step("Keys, connections, targets.yaml") as step:
                self._write_configuration()
                step.result = str(self.home.targets)
            with steps.step("WAL receiver") as step:
                receiver = self.receiver()
                receiver.start()
                receiver.wait_until_archiving(self.home.spool / "archive-wal-calibrify.json")
                step.result = str(receiver.log)
            self._migrate_inventory(steps)
            if without_airflow:
                return
            with steps.step("Airflow's tables") as step:
                step.result = "created" if migration.result() else "there already"
            with steps.step("Airflow") as step:
                since = airflow.now()
                started = server.start()
                server.wait_until_healthy(started=started, since=since)
                self._give_pools(server)
                step.result = server.url

    def _write_configuration(self) -> None:
        configuration.create_keys(self.home)
        configuration.create_metrics_token(self.home)
        account = postgres_account(self.protected.directory, self.protected.bin_dir)
        configuration.write_targets(
            self.home.targets,
            self.home,
            self.seaweedfs.endpoint_url,
            server_account=account.name if account.uid is not None else None,
        )
        configuration.write_connections(
            self.home.connections,
            s3=self.seaweedfs,
            databases={
                "calibrify_backup": self.protected.connection("calibrify", "calibrify_backup"),
                "calibrify_restore": self.protected.connection("calibrify", "calibrify_restore"),
                "calibrify_replication": self.protected.connection("calibrify", "calibrify_replication"),
                databases.INVENTORY: self.metadata.connection(databases.INVENTORY, databases.INVENTORY),
            },
        )
        configuration.write_environment(self.home)
        if not self.home.host.exists():
            # What targets.yaml says is backed up has to be there, also before the first demo.
            write_config(self.home.host)
            self.home.media.mkdir(parents=True)

    def _give_pools(self, server: EmbeddedAirflow) -> None:
        # A configuration that is wrong is shown by Airflow itself, which is up now.
        with contextlib.suppress(ConfigurationError):
            pools = load_targets(configuration.variables(self.home)["BACKSTOP_TARGETS"]).pools
            if pools:
                give_pools(AirflowApi(server.url, sign_in=lambda: server.token("admin")), pools)

    def _migrate_inventory(self, steps: Steps) -> None:
        with steps.step("Inventory"):
            done = subprocess.run(
                [sys.executable, "-m", "backstop", "migrate-inventory"],
                env={
                    **ENVIRONMENT,
                    "PYTHONPATH": str(CHECKOUT / "plugins"),
                    **configuration.variables(self.home),
                    # Not a user's own, which need not name our inventory.
                    "BACKSTOP_TARGETS": str(self.home.targets),
                },
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                raise StackError(
                    f"the inventory's tables could not be brought up to date: {done.stderr.strip()}",
                    hint="running this again tries once more",
                )

    # -- Down ------------------------------------------------------------------------------------------------

    def down(self, steps: Steps) -> None:
        """Stop everything; what it holds stays for the next `up`."""
        if not self.home.exists:
            steps.note(f"nothing to stop: {self.home.root} holds no embedded stack")
            return
        with self.home.lock():
            if self.home.airflow.exists() and (self.home.metadata / "passwords.json").exists():
                with steps.step("Airflow stopped"):
                    self.airflow().stop(steps.note)
            with steps.step("WAL receiver stopped"):
                self.receiver().stop()
            with steps.step("S3 stopped"):
                self.seaweedfs.stop()
            with steps.step("PostgreSQL to protect stopped"):
                self.protected.stop()
            with steps.step("PostgreSQL for metadata stopped"):
                self.metadata.stop()

    # -- Status ----------------------------------------------------------------------------------------------

    def status(self) -> list[Part]:
        """Each process with its address, pid and health; all "stopped" where nothing was ever started."""
        parts = [
            self._postgres_part("postgres (metadata)", self.metadata),
            self._postgres_part("postgres (protected)", self.protected),
            self._s3_part(),
            self._receiver_part(),
        ]
        known = self.home.airflow.exists() and self.metadata.pid is not None
        server = self.airflow() if known else None
        ailing = server.ailing() if server else []
        for name in airflow.COMPONENTS:
            pid = server.pid(name) if server else None
            health = "stopped" if pid is None else "no heartbeat" if name in ailing else "healthy"
            address = server.url if server and name == "api-server" else ""
            parts.append(Part(f"airflow {name}", address, pid, health, _memory_bytes(pid)))
        return parts

    def _postgres_part(self, name: str, server: EmbeddedPostgres) -> Part:
        pid = server.pid
        if pid is None:
            return Part(name, "", None, "stopped")
        try:
            server.connect().close()
            health = "healthy"
        except Exception as error:
            health = f"does not answer: {str(error).splitlines()[0]}"
        return Part(name, f"127.0.0.1:{server.port}", pid, health, _memory_bytes(pid))

    def _receiver_part(self) -> Part:
        pid = self.receiver().pid
        return Part("WAL receiver", "", pid, "stopped" if pid is None else "healthy", _memory_bytes(pid))

    def _s3_part(self) -> Part:
        pid = self.seaweedfs.pid
        if pid is None:
            return Part("s3 (seaweedfs)", "", None, "stopped")
        health = "healthy" if self.seaweedfs.answers() else "does not answer"
        return Part("s3 (seaweedfs)", self.seaweedfs.endpoint_url, pid, health, _memory_bytes(pid))


def _for_base_backups(bin_dir: Path) -> dict[str, str]:
    """What include/postgres/backup.conf asks for, as far as this version has it and the defaults differ."""
    settings = {"max_slot_wal_keep_size": "4GB"}
    # It came with incremental backups, in PostgreSQL 17.
    return {**settings, "summarize_wal": "on"} if (bin_dir / "pg_combinebackup").exists() else settings


def _port(part: str) -> int | None:
    variable = PORT_VARIABLES[part]
    text = os.environ.get(variable)
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise StackError(f"{variable}={text} is no port number", hint="give a number from 1 to 65535")
    return int(text)


def _memory_bytes(pid: int | None) -> int:
    """Proportional: pages that several processes share are counted once."""
    total = 0
    try:
        leader = psutil.Process(pid) if pid is not None else None
        for member in [leader, *leader.children(recursive=True)] if leader else []:
            usage = member.memory_full_info()
            total += getattr(usage, "pss", usage.rss)
    except psutil.Error:
        pass
    return total
