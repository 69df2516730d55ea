"""Where a secret could have leaked to: everything that Airflow and its tasks have written, and what runs."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from embedded.stack import Stack
    from tests.airflow.conftest import Scene

SHORTEST = 12
"""Shorter values, such as ports and names, stand everywhere."""


def secrets_of(stack: Stack) -> dict[str, str]:
    """What must be nowhere, by what it is: of connections, keys, roles and Airflow itself."""
    found: dict[str, str] = {}
    for name, connection in json.loads(stack.home.connections.read_text()).items():
        found[f"password of connection {name}"] = connection["password"]
    ring = json.loads(stack.home.keyring.read_text())
    found |= {f"key ring: {where}": value for where, value in _keys(ring)}
    for pem in stack.home.signing.glob("*.pem"):
        # A private key is one line or several between its marks.
        body = [line for line in pem.read_text().splitlines() if line and not line.startswith("-----")]
        found[f"signing key {pem.name}"] = body[0]
    with stack.protected.connect() as session:
        rows = session.execute("SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL")
        found |= {f"verifier of role {role}": verifier.rpartition("$")[2] for role, verifier in rows}
    for name, value in json.loads((stack.home.airflow / "secrets.json").read_text()).items():
        found[f"Airflow's {name}"] = value
    found["token of metrics"] = stack.home.metrics_token.read_text().strip()
    assert all(len(value) >= SHORTEST for value in found.values())
    return found


def _keys(ring: Any, where: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(ring, dict):
        for name, value in ring.items():
            if isinstance(value, str) and name in {"key", "secret", "material"}:
                yield f"{where}.{name}", value
            else:
                yield from _keys(value, f"{where}.{name}")
    elif isinstance(ring, list):
        for number, value in enumerate(ring):
            yield from _keys(value, f"{where}[{number}]")


def written(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Files of logs, of the repositories as they are stored, and what tasks have left in spools."""
    home = stack.home
    folders = [home.airflow / "logs", home.repository, home.receiver, home.spool, home.recovered]
    files = [path for folder in folders for path in _files_in(folder)]
    files += [path for path in home.airflow.glob("*.log") if path.is_file()]
    files += [stack.metadata.log, stack.protected.log, stack.seaweedfs.log]
    files += (path for path in _files_in(home.seaweedfs / "data") if path.suffix == ".dat")
    for path in files:
        try:
            yield str(path.relative_to(home.root)), path.read_bytes()
        except FileNotFoundError:
            continue  # a spool is worked off meanwhile


def _files_in(folder: Path) -> Iterator[Path]:
    # rglob would stumble over folders that vanish meanwhile.
    for top, _, names in os.walk(folder):
        yield from (path for name in names if (path := Path(top, name)).is_file())


def tables(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """The metadata database with its XComs, runs and rendered fields, and the inventory, as SQL."""
    for name in ("airflow", "backstop_inventory"):
        connection = stack.metadata.connection(name)
        argv = [str(stack.metadata.bin_dir / "pg_dump"), "-h", connection.host, "-p", str(connection.port)]
        argv += ["-U", connection.user, "-d", name, "--data-only"]
        environment = {**os.environ, "PGPASSWORD": connection.password or ""}
        dumped = subprocess.run(argv, env=environment, capture_output=True, check=True, timeout=120)
        yield f"database {name}", dumped.stdout


def pages(scene: Scene, label: str) -> Iterator[tuple[str, bytes]]:
    """What people are shown."""
    server = scene.stack.airflow()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    target = "/backstop/targets/calibrify"
    for path in ("/backstop/", target, f"{target}/restore", f"{target}/backups/{label}"):
        request = urllib.request.Request(server.url + path)  # noqa: S310 ours
        request.add_header("Authorization", f"Bearer {server.token('admin')}")
        with opener.open(request, timeout=30) as answer:
            yield f"page {path}", answer.read()


def leaks(secrets: Mapping[str, str], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Which secret is where; never the secret itself."""
    wanted = {what: value.encode() for what, value in secrets.items()}
    return [
        f"{what} in {where}"
        for where, content in places
        for what, value in wanted.items()
        if value in content
    ]


class ProcessList:
    """What anybody on the machine can read of its processes: their arguments; and their environments."""

    def __init__(self) -> None:
        self.seen: dict[str, bytes] = {}
        self._ended = threading.Event()

    def look(self) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (process / "cmdline").read_bytes()
                told = arguments[:200].replace(b"\0", b" ").decode(errors="replace")
                self.seen[f"arguments of {process.name}, {told}"] = arguments
                if not arguments.startswith(b"postgres"):
                    environment = (process / "environ").read_bytes()
                    self.seen[f"environment of {process.name}, {told}"] = environment
            except OSError:
                continue  # it has ended, or is somebody else's

    @contextmanager
    def sampled(self) -> Iterator[ProcessList]:
        """Looked at again and again for as long as this lasts."""
        watching = threading.Thread(target=self._watch, daemon=True)
        watching.start()
        try:
            yield self
        finally:
            self._ended.set()
            watching.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self.look()
