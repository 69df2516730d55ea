"""How each tool is asked for each step of a physical backup: argv only, and what it is configured to do.

pgBackRest: bundles, zstd level 3, AES-256-CBC, two processes. barman-cloud: snappy where its Python has it,
else gzip, two jobs; it encrypts nothing itself. Backstop: as it is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedded.configuration import BUCKET, REGION
from embedded.files import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.physical_servers import PhysicalServers

# pgBackRest 2.45; a newer one is asked by trying.
_STANZA = "bench"


@dataclass(frozen=True)
class Backstop:
    """Ours, each step in a process of its own.

    :param readers: of the server's files, on its host; 0: the server sends them.
    """

    servers: PhysicalServers
    readers: int = 0

    @property
    def name(self) -> str:
        return f"Backstop, {self.readers} reading files" if self.readers else "Backstop"

    @property
    def missing(self) -> str:
        return ""

    def prepare(self, target: str) -> None:
        pass

    def backup(self, target: str, kind: str) -> list[str]:
        return self.step("backup", target, "--kind", kind, "--readers", str(self.readers))

    def restore(self, target: str, backup: str, destination: Path) -> list[str]:
        return self.step("restore", target, "--label", backup, "--destination", str(destination))

    def backup_id(self, target: str, output: str) -> str:
        return str(json.loads(output)["label"])

    def prefix(self, target: str) -> str:
        return f"backstop/{target}/"

    def step(self, step: str, target: str, *further: str) -> list[str]:
        told = str(self.servers.home.root / "step.json")
        return [sys.executable, "-m", "benchmarks.physical_step", told, step, "--target", target, *further]


class PgBackRest:
    """One repository path for each target."""

    name = "pgBackRest"

    def __init__(self, servers: PhysicalServers, *, asynchronous: bool = False) -> None:
        self.servers = servers
        self.asynchronous = asynchronous
        self._folder = servers.home.root / "pgbackrest"

    @property
    def missing(self) -> str:
        """Why it is skipped; empty when it is not."""
        if shutil.which("pgbackrest") is None:
            return "pgbackrest is not installed"
        done = self._run("any", "stanza-create")
        said = done.stderr.strip()[-300:]
        return "" if done.returncode == 0 else f"pgbackrest cannot use this server: {said}"

    def prepare(self, target: str) -> None:
        done = self._run(target, "stanza-create")
        if done.returncode != 0:
            raise RuntimeError(f"pgbackrest stanza-create failed: {done.stdout!r} {done.stderr!r}")

    def backup(self, target: str, kind: str) -> list[str]:
        return self.command(target, "backup", f"--type={kind}", "--no-archive-check", "--no-expire-auto")

    def restore(self, target: str, backup: str, destination: Path) -> list[str]:
        destination.mkdir(mode=0o700)
        return self.command(target, "restore", f"--set={backup}", f"--pg1-path={destination}", "--type=none")

    def backup_id(self, target: str, output: str) -> str:
        info = json.loads(self._run(target, "info", "--output=json").stdout)
        return str(info[0]["backup"][-1]["label"])

    def prefix(self, target: str) -> str:
        return f"pgbackrest/{target}/"

    def command(self, target: str, command: str, *further: str) -> list[str]:
        """Options and arguments of the command as they come."""
        return [
            "pgbackrest",
            f"--config={self._configuration(target)}",
            f"--stanza={_STANZA}",
            command,
            *further,
        ]

    def replay(self, target: str, data: Path) -> list[str]:
        """A server recovers ``data``, which runs ``archive-get`` for each segment, as its own account."""
        path = self._configuration(target, server=True)
        command = f'pgbackrest --config={path} --stanza={_STANZA} --pg1-path={data} archive-get "%f" "%p"'
        bin_dir = str(self.servers.postgres.bin_dir)
        return [
            *[sys.executable, "benchmarks/reaper.py"],
            *[sys.executable, "-m", "benchmarks.replay", str(data), bin_dir, command],
        ]

    def _run(self, target: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(target, words[0], *words[1:]),
            env=self.servers.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def _configuration(self, target: str, *, server: bool = False) -> Path:
        """:param server: it is the PostgreSQL server who runs pgbackrest."""
        servers = self.servers
        name = f"{target}-{'async' if self.asynchronous else 'sync'}{'-server' if server else ''}"
        folder = self._folder / name
        path = folder / "pgbackrest.conf"
        if path.exists():
            return path
        for place in (folder, spool := folder / "spool", lock := folder / "lock"):
            place.mkdir(parents=True)
        settings = {
            "repo1-type": "s3",
            "repo1-path": f"/pgbackrest/{target}",
            "repo1-s3-bucket": BUCKET,
            "repo1-s3-region": REGION,
            "repo1-s3-endpoint": "127.0.0.1",
            "repo1-s3-uri-style": "path",
            "repo1-s3-key": servers.s3.access_key,
            "repo1-s3-key-secret": servers.s3.secret_key,
            "repo1-storage-port": servers.s3.https_port,
            "repo1-storage-ca-file": servers.certificate,
            "repo1-bundle": "y",
            "repo1-cipher-type": "aes-256-cbc",
            "repo1-cipher-pass": "only-for-this-benchmark",
            "repo1-retention-full": 9999,
            "compress-type": "zst",
            "compress-level": 3,
            "process-max": 2,
            "start-fast": "y",
            "archive-async": "y" if self.asynchronous else "n",
            "archive-get-queue-max": "512MiB",
            "spool-path": spool,
            "lock-path": lock,
            "log-path": folder,
            "log-level-file": "off",
        }
        cluster = {
            "pg1-path": servers.postgres.data,
            "pg1-port": servers.postgres.port,
            "pg1-socket-path": servers.sockets,
            "pg1-user": "postgres",
        }
        lines = ["[global]", *(f"{name}={value}" for name, value in settings.items())]
        lines += [f"[{_STANZA}]", *(f"{name}={value}" for name, value in cluster.items())]
        write_private(path, "\n".join(lines) + "\n")
        if server:
            owner = servers.postgres.data.stat()
            for entry in (folder, *folder.iterdir()):
                os.chown(entry, owner.st_uid, owner.st_gid)
        return path


class BarmanCloud:
    """One server name for each target."""

    name = "barman-cloud"

    def __init__(self, servers: PhysicalServers) -> None:
        self.servers = servers
        # By trying: Debian 12's python3-snappy is there and fails on its first byte.
        trial = "import snappy; snappy.StreamCompressor().add_chunk(b'trial')"
        has_snappy = subprocess.run(["/usr/bin/python3", "-c", trial], capture_output=True, check=False)
        self.compression = "--snappy" if has_snappy.returncode == 0 else "--gzip"

    @property
    def missing(self) -> str:
        return "" if shutil.which("barman-cloud-backup") else "barman-cli-cloud is not installed"

    def prepare(self, target: str) -> None:
        pass

    def backup(self, target: str, kind: str) -> list[str]:
        connection = [f"--host={self.servers.sockets}", f"--port={self.servers.postgres.port}"]
        flags = [*self._s3("backup"), self.compression, "--jobs=2", "--immediate-checkpoint"]
        return [*flags, *connection, "--user=postgres", self._url, target]

    def restore(self, target: str, backup: str, destination: Path) -> list[str]:
        return [*self._s3("restore"), self._url, target, backup, str(destination)]

    def backup_id(self, target: str, output: str) -> str:
        done = subprocess.run(
            [*self._s3("backup-list"), "--format=json", self._url, target],
            env=self.servers.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return str(max(entry["backup_id"] for entry in json.loads(done.stdout)["backups_list"]))

    def prefix(self, target: str) -> str:
        return f"barman/{target}/"

    def push_one(self, target: str, segment: str) -> list[str]:
        return [*self._s3("wal-archive"), self.compression, self._url, target, segment]

    def get_one(self, target: str, segment: str, destination: str) -> list[str]:
        return [*self._s3("wal-restore"), self._url, target, segment, destination]

    @property
    def _url(self) -> str:
        return f"s3://{BUCKET}/barman"

    def _s3(self, verb: str) -> list[str]:
        return [
            f"barman-cloud-{verb}",
            "--cloud-provider=aws-s3",
            f"--endpoint-url={self.servers.endpoint_url}",
        ]
