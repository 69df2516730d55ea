"""One deployment of docker-compose.yaml, under a project name of its own, in a copy of the checkout."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from embedded.airflow_api import AirflowApi
from embedded.home import CHECKOUT
from embedded.ports import free_ports

if TYPE_CHECKING:
    from pathlib import Path

COPIED = (
    "docker-compose.yaml", "Dockerfile", ".dockerignore", "requirements-compose.txt",
    "dags", "plugins", "include", "embedded",
)  # fmt: skip
UP_SECONDS = 900


@dataclass
class Deployment:
    """``executor`` is ``celery`` or ``local``; everything it makes goes with :meth:`destroy`."""

    root: Path
    executor: str
    project: str = field(default_factory=lambda: f"backstop-test-{secrets.token_hex(3)}")
    port: int = 0
    said: list[str] = field(default_factory=list)

    # -- Life ------------------------------------------------------------------------------------------------

    def prepare(self, **environment: str) -> None:
        """What somebody does who has cloned the project: make_secrets.py, and at most one line in .env.

        :param environment: of that run of make_secrets.py.
        """
        for name in COPIED:
            source = CHECKOUT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, self.root / name)
        subprocess.run(
            [sys.executable, str(self.root / "include/compose/make_secrets.py")],
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
        )
        (self.port,) = free_ports(1)
        env = self.root / ".env"
        text = env.read_text()
        if self.executor == "local":
            text = text.replace(
                "COMPOSE_FILE=docker-compose.yaml",
                "COMPOSE_FILE=docker-compose.yaml:include/compose/local-executor.yaml",
            )
        env.write_text(
            f"{text}BACKSTOP_PORT={self.port}\nBACKSTOP_PROMETHEUS_PORT=0\nBACKSTOP_SAMPLE_SCALE=0.5\n"
        )

    def up(self, *profiles: str) -> float:
        """`docker compose up --wait`; seconds it took."""
        started = time.monotonic()
        self.compose(
            *(part for name in profiles for part in ("--profile", name)),
            "up", "--detach", "--wait", "--wait-timeout", str(UP_SECONDS),
            timeout=UP_SECONDS + 60,
        )  # fmt: skip
        return time.monotonic() - started

    def down(self) -> None:
        self.compose("--profile", "demo", "--profile", "monitoring", "down", timeout=300)

    def destroy(self) -> None:
        """Containers, networks and volumes."""
        self.compose("--profile", "*", "down", "--volumes", "--timeout", "20", timeout=300, check=False)

    def compose(
        self, *arguments: str, timeout: float = 120, check: bool = True, text: str | None = None
    ) -> str:
        done = subprocess.run(
            ["docker", "compose", "--project-name", self.project, "--progress", "plain", *arguments],
            cwd=self.root,
            env={**os.environ, "COMPOSE_ANSI": "never"},
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"docker compose {' '.join(arguments)} ended with {done.returncode}:\n"
                f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}\n{self.ailing()}"
            )
        return done.stdout

    # -- Containers ------------------------------------------------------------------------------------------

    def services(self) -> dict[str, dict[str, Any]]:
        """What `docker compose ps` says, by service."""
        listed = self.compose("ps", "--all", "--format", "json").splitlines()
        return {one["Service"]: one for one in map(json.loads, listed)}

    def ailing(self) -> str:
        """The last lines of whatever is not well."""
        listed = subprocess.run(
            ["docker", "ps", "-a", "--filter", f"label=com.docker.compose.project={self.project}",
             "--format", "{{.Names}}\t{{.Status}}"],
            capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
        told = [listed]
        for line in listed.splitlines():
            name, _, status = line.partition("\t")
            if "unhealthy" in status or ("Exited" in status and "Exited (0)" not in status):
                log = subprocess.run(
                    ["docker", "logs", "--tail", "25", name], capture_output=True, text=True, check=False
                )
                told.append(f"== {name}\n{log.stdout[-3000:]}{log.stderr[-3000:]}")
        return "\n".join(told)

    def inspect(self, service: str) -> dict[str, Any]:
        name = self.services()[service]["Name"]
        found = subprocess.run(["docker", "inspect", name], capture_output=True, text=True, check=True)
        return dict(json.loads(found.stdout)[0])

    @staticmethod
    def processes(container: str) -> str:
        """What runs in it, by name; empty when it does not."""
        done = subprocess.run(
            ["docker", "top", container, "-o", "pid,comm"], capture_output=True, text=True, check=False
        )
        return done.stdout

    def crash(self, service: str) -> None:
        """Its first process gets SIGKILL, as from a machine without memory; the engine starts it again."""
        state = self.inspect(service)["State"]
        os.kill(state["Pid"], signal.SIGKILL)
        wait_until(
            lambda: self.inspect(service)["State"]["StartedAt"] != state["StartedAt"], 60, f"{service} again"
        )

    def wait_healthy(self, *services: str, timeout: float = 420) -> None:
        def well() -> bool:
            known = self.services()
            return all(known[name]["Health"] == "healthy" for name in services)

        wait_until(well, timeout, f"{services} healthy")

    def execute(self, service: str, *argv: str, text: str | None = None) -> str:
        return self.compose("exec", "--no-TTY", service, *argv, text=text)

    def sql(
        self, query: str, *, dbname: str = "calibrify", service: str = "protected", user: str = "postgres"
    ) -> str:
        """The answer, one row a line; asked inside of the database's own container, over its socket."""
        password = (
            self.root / "secrets" / ("protected_superuser" if service == "protected" else "metadata")
        ).read_text()
        script = f'PGPASSWORD=$(cat) exec psql --no-psqlrc -At -U {user} -h 127.0.0.1 -d {dbname} -c "$0"'
        return self.execute(service, "sh", "-c", script, query, text=password).strip()

    # -- Airflow and the application -------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def password(self, user: str) -> str:
        return (self.root / "secrets" / f"user_{user}").read_text().strip()

    def user(self, name: str) -> AirflowApi:
        return AirflowApi(self.url, sign_in=lambda: self.token(name), note=self.said.append)

    def token(self, name: str) -> str:
        body = json.dumps({"username": name, "password": self.password(name)}).encode()
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/auth/token", data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return str(json.loads(answer.read())["access_token"])

    def status(self, path: str, token: str = "") -> int:
        """How Airflow answers this path."""
        request = urllib.request.Request(self.url + path)  # noqa: S310
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with _no_redirect().open(request, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return int(error.code)

    def application(self, path: str, note: str | None = None) -> dict[str, Any]:
        """The application stand-in, which publishes no port: asked from within."""
        script = (
            "import sys, urllib.request as u;"
            "r = u.Request('http://127.0.0.1:8000' + sys.argv[1], data=sys.stdin.buffer.read() or None);"
            "print(u.urlopen(r, timeout=30).read().decode())"
        )
        return dict(json.loads(self.execute("calibrify", "python", "-c", script, path, text=note or "")))


def wait_until(condition: Any, timeout: float, what: str) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s for: {what}"
        time.sleep(1)


def _no_redirect() -> urllib.request.OpenerDirector:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    return urllib.request.build_opener(Stay, urllib.request.ProxyHandler({}))


def engine_obstacle() -> str:
    """Why nothing can be brought up here; empty when it can."""
    if shutil.which("docker") is None:
        return "no program docker"
    for argv, what in (
        (["docker", "info"], "no container engine runs"),
        (["docker", "compose", "version"], "docker has no compose plug-in"),
    ):
        if subprocess.run(argv, capture_output=True, check=False).returncode != 0:
            return what
    return ""
