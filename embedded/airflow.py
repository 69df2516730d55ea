"""Airflow on loopback: four processes on a PostgreSQL metadata database, configured by one 0600 file."""

from __future__ import annotations

import configparser
import io
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from embedded import process
from embedded.errors import StackError
from embedded.files import write_private
from embedded.ports import becomes_free, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backstop.postgres.connection import ClusterConnection

#: Before any heartbeat of ours.
LONG_AGO = datetime(2000, 1, 1, tzinfo=timezone.utc)
#: Each with its own process group, log and pid file, so that `up` can bring back just the one that died.
#: Logs are read from disk by the API server: the log servers would listen on every address.
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server", "--workers", "1"),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
#: The second may answer approvals that the first asked for: four eyes. The third may only look.
USERS = {"admin": "ADMIN", "approver": "USER", "viewer": "VIEWER"}
_HEALTH = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
_KEPT_VARIABLES = (
    "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR", "TZ",
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy",
)  # fmt: skip


@dataclass
class EmbeddedAirflow:
    """One Airflow below ``directory``: ``airflow.cfg``, ``passwords.json`` (both 0600), logs.

    :param metadata: its own database.
    :param port: of the web page and API; None picks a free one, remembered for the next start.
    :param connections_file: connections by id, in the form of Airflow's LocalFilesystemBackend.
    :param environment: variables that DAGs and tasks shall see.
    :param components: those of :data:`COMPONENTS` that run.
    """

    directory: Path
    metadata: ClusterConnection = field(repr=False)
    dags: Path
    plugins: Path
    connections_file: Path
    environment: Mapping[str, str]
    port: int | None = None
    components: Sequence[str] = tuple(COMPONENTS)

    # -- Life ------------------------------------------------------------------------------------------------

    def configure(self) -> None:
        """Write the configuration; secrets in it stay the same from start to start."""
        self.directory.mkdir(parents=True, exist_ok=True)
        passwords = self.passwords()
        for user in USERS:
            passwords.setdefault(user, secrets.token_urlsafe(12))
        write_private(self.directory / "passwords.json", json.dumps(passwords))
        text = io.StringIO()
        parser = configparser.RawConfigParser()
        parser.read_dict(self._settings())
        parser.write(text)
        # Every % is meant as one: Airflow interpolates.
        write_private(self.directory / "airflow.cfg", text.getvalue().replace("%", "%%"))

    def migrate(self) -> bool:
        """Bring the metadata database to this Airflow's schema; False when it was there already."""
        from importlib.metadata import version

        marker = self.directory / "migrated"
        installed = version("apache-airflow")
        if marker.exists() and marker.read_text() == installed and self._has_schema():
            return False
        log = self.directory / "migrate.log"
        with log.open("wb") as output:
            done = subprocess.run(
                [sys.executable, "-c", "from airflow.utils.db import initdb; initdb()"],
                env=self._environment(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
        if done.returncode != 0:
            raise StackError(
                f"Airflow could not create its tables:\n{process.tail(log)}",
                hint=f"read {log}; running this again continues",
            )
        marker.write_text(installed)
        return True

    def start(self) -> list[str]:
        """Start the processes that do not run; their names. :meth:`wait_until_healthy` next."""
        missing = [name for name in self.components if self.pid(name) is None]
        if "api-server" in missing and not becomes_free(self.settled_port()):
            if self.port is not None:
                raise StackError(
                    f"port {self.port} for Airflow is taken",
                    hint="stop what listens there, or set BACKSTOP_AIRFLOW_PORT to another",
                )
            # Every process knows the API server's address.
            self.stop()
            missing = list(self.components)
            (self.directory / "port").unlink()
            self.configure()
        for name in missing:
            # A killed scheduler leaves its workers behind.
            process.end_remnants(self._pid_file(name))
            started = process.spawn(
                [sys.executable, "-m", "airflow", *COMPONENTS[name]],
                log=self.log(name),
                env=self._environment(),
                cwd=self.directory,
            )
            if record := process.ProcessRecord.of(started.pid):
                record.write(self._pid_file(name))
        return missing

    def wait_until_healthy(self, *, started: Sequence[str], since: datetime, timeout: float = 240.0) -> None:
        """Return when the API takes our password and each process has reported.

        :param started: processes whose report counts only after ``since``: a killed one looks alive for 30 s.
        """
        deadline = time.monotonic() + timeout
        while True:
            if dead := [name for name in self.components if self.pid(name) is None]:
                raise StackError(
                    f"Airflow's {dead[0]} ended:\n{process.tail(self.log(dead[0]))}",
                    hint=f"read {self.log(dead[0])}; running this again starts what is missing",
                )
            ailing = self.ailing(dict.fromkeys(started, since))
            if not ailing:
                return
            if time.monotonic() > deadline:
                raise StackError(
                    f"Airflow's {', '.join(ailing)} did not report within {timeout:.0f} s",
                    hint=f"read the logs in {self.directory}; running this again waits once more",
                )
            time.sleep(0.25)

    def stop(self, report: Callable[[str], None] = lambda name: None) -> None:
        """End every process, TERM then KILL, with what it started."""
        # The scheduler first: its tasks still report to the API server while they end.
        self._stop_one("scheduler", report)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: self._stop_one(name, report), COMPONENTS))

    # -- What others need ------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settled_port()}"

    @property
    def page(self) -> str:
        """The Recoverability page, in Airflow's own shell."""
        return f"{self.url}/plugin/recoverability"

    @property
    def metrics(self) -> str:
        """For Prometheus."""
        return f"{self.url}/backstop/metrics"

    def settled_port(self) -> int:
        remembered = self.directory / "port"
        if self.port is None and remembered.exists():
            return int(remembered.read_text())
        port = self.port or free_ports(1)[0]
        remembered.write_text(str(port))
        return port

    def passwords(self) -> dict[str, str]:
        try:
            return dict(json.loads((self.directory / "passwords.json").read_text()))
        except (FileNotFoundError, ValueError):
            return {}

    def token(self, user: str = "admin") -> str:
        """A bearer token for the API."""
        body = json.dumps({"username": user, "password": self.passwords()[user]}).encode()
        return str(self._request("/auth/token", body)["access_token"])

    def ailing(self, since: Mapping[str, datetime] | None = None) -> list[str]:
        """Which processes are not healthy, or have not reported since; all while the API is not ours."""
        try:
            self.token()
            health = self._request("/api/v2/monitor/health")
        except (OSError, ValueError, KeyError):
            return list(self.components)
        sick = []
        for name, key in _HEALTH.items():
            if name not in self.components:
                continue
            status = health.get(key) or {}
            beat = status.get(f"latest_{key}_heartbeat")
            seen = datetime.fromisoformat(beat) if beat else LONG_AGO
            if status.get("status") != "healthy" or seen <= (since or {}).get(name, LONG_AGO):
                sick.append(name)
        return sick

    def pid(self, name: str) -> int | None:
        record = process.ProcessRecord.read(self._pid_file(name))
        return record.pid if record else None

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    # -- Inside ----------------------------------------------------------------------------------------------

    def _stop_one(self, name: str, report: Callable[[str], None]) -> None:
        # The triggerer may wait ten seconds for its child, on TERM always, on INT sometimes. The state of
        # triggers is in the database, so it is hurried.
        first, patience = (signal.SIGINT, 3.0) if name == "triggerer" else (signal.SIGTERM, 20.0)
        pid = self.pid(name)
        if pid is not None and not process.stop(pid, first=first, patience=patience):
            report(f"Airflow's {name} had to be killed")
        self._pid_file(name).unlink(missing_ok=True)

    def _pid_file(self, name: str) -> Path:
        return self.directory / f"{name}.pid.json"

    def _request(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310
            self.url + path, data=body, headers={"Content-Type": "application/json"}
        )
        # Never through a proxy: the address is ours.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            return dict(json.load(answer))

    def _has_schema(self) -> bool:
        with self.metadata.connect() as connection:
            row = connection.execute("SELECT to_regclass('public.alembic_version') IS NOT NULL").fetchone()
            return bool(row and row[0])

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        return {
            # Airflow refuses to run for a user id without a name, as containers have.
            "USER": "backstop",
            **kept,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "AIRFLOW_HOME": str(self.directory),
            "PYTHONPATH": str(self.plugins),
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            **self.environment,
        }

    def _settings(self) -> dict[str, dict[str, str]]:
        generated = self._generated_secrets()
        address = (
            f"{quote(self.metadata.user)}:{quote(self.metadata.password or '', safe='')}"
            f"@{self.metadata.host}:{self.metadata.port}/{quote(self.metadata.dbname)}"
        )
        return {
            "core": {
                "dags_folder": str(self.dags),
                "plugins_folder": str(self.plugins),
                "executor": "LocalExecutor",
                "parallelism": "8",
                "load_examples": "False",
                "fernet_key": generated["fernet_key"],
                "execution_api_server_url": f"{self.url}/execution/",
                "simple_auth_manager_users": ",".join(f"{user}:{role}" for user, role in USERS.items()),
                "simple_auth_manager_passwords_file": str(self.directory / "passwords.json"),
            },
            "database": {
                "sql_alchemy_conn": f"postgresql+psycopg2://{address}",
                "sql_alchemy_conn_async": f"postgresql+asyncpg://{address}",
                "load_default_connections": "False",
            },
            "api": {
                "host": "127.0.0.1",
                "port": str(self.settled_port()),
                "base_url": self.url,
                "secret_key": generated["secret_key"],
                "instance_name": "Backstop, embedded",
            },
            "api_auth": {"jwt_secret": generated["jwt_secret"]},
            # The default of 5 s is short on a loaded machine.
            "workers": {"execution_api_timeout": "60"},
            # Reading DAG files anew is most of what an idle Airflow does.
            "dag_processor": {"refresh_interval": "60", "min_file_process_interval": "120"},
            "logging": {"base_log_folder": str(self.directory / "logs")},
            "secrets": {
                "backend": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
                "backend_kwargs": json.dumps({"connections_file_path": str(self.connections_file)}),
            },
            "usage_data_collection": {"enabled": "False"},
        }

    def _generated_secrets(self) -> dict[str, str]:
        path = self.directory / "secrets.json"
        try:
            return dict(json.loads(path.read_text()))
        except (FileNotFoundError, ValueError):
            generated = {
                "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "secret_key": secrets.token_urlsafe(32),
                "jwt_secret": secrets.token_urlsafe(64),
            }
            write_private(path, json.dumps(generated))
            return generated


def now() -> datetime:
    return datetime.now(timezone.utc)
