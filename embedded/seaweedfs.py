"""An S3 server of our own in one directory: SeaweedFS on loopback, with generated credentials."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sysconfig
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from embedded import process
from embedded.errors import StackError
from embedded.files import write_private
from embedded.ports import answers, becomes_free, free_ports

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

READINESS_BUCKET = "embedded-readiness"
#: Every listener `weed mini` opens, also for parts switched off. Unnamed ones would take fixed defaults.
LISTENERS = (
    "s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "filer.port", "filer.port.grpc",
    "volume.port", "volume.port.grpc", "admin.port", "admin.port.grpc",
)  # fmt: skip
_HTTPS = "s3.port.https"
_ADMINISTRATOR = "backstop"


def user_arn(user: str) -> str:
    """How policies of buckets name a user of SeaweedFS."""
    return f"arn:aws:iam::000000000000:user/{user}"


def weed_binary() -> Path:
    """The SeaweedFS program that pip brings."""
    path = Path(sysconfig.get_path("scripts")) / "weed"
    if not path.exists():
        raise StackError(f"{path} is missing", hint="run `make venv`")
    return path


class EmbeddedSeaweedFS:
    """One S3 server below ``directory``: ``data/``, ``log``, ``identities.json`` (0600), ``ports.json``.

    :param port: of the S3 endpoint; 0 or None picks a free one. All ports are remembered for the next start.
    :param buckets: created on start when they do not exist.
    :param die_with_parent: for tests: the server ends with the process that started it, however that ends.
    :param certificate: files of a certificate and of its key: then it speaks TLS too, on a port of its own.
    :param users: further ones, each with credentials of its own. A bucket's policy says what they may do, as
        ``user_arn`` names them; without one, nothing.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        buckets: Sequence[str] = (),
        die_with_parent: bool = False,
        certificate: tuple[Path, Path] | None = None,
        users: Sequence[str] = (),
    ) -> None:
        self.directory = Path(directory).absolute()
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self.buckets = tuple(buckets)
        self.certificate = certificate
        self.users = tuple(users)
        self.die_with_parent = die_with_parent
        self._wanted_port = port or None
        self._identities_file = self.directory / "identities.json"
        self._ports_file = self.directory / "ports.json"
        self._pid_file = self.directory / "pid.json"

    # -- Life ------------------------------------------------------------------------------------------------

    def start(self, *, timeout: float = 60.0, attempts: int = 3) -> EmbeddedSeaweedFS:
        """Start it unless it runs; return when the endpoint answers. Where another program took one of the
        ports meanwhile, it is started again on others.

        :raises StackError: naming the endpoint, with the end of the log.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        self._write_identities()
        if self.pid is not None:
            if self._wanted_port not in (None, self.port):
                raise StackError(
                    f"SeaweedFS already runs, on port {self.port}",
                    hint=f"stop it first to have it on port {self._wanted_port}",
                )
            self._wait_until_ready(None, timeout)
            return self
        self._settle_ports()
        argv = [
            str(weed_binary()),
            "mini",
            f"-dir={self.data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            *(f"-{name}={port}" for name, port in self._ports().items()),
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={self._identities_file}",
            "-s3.autoCreateBucket=false",
            "-webdav=false",
            "-admin.ui=false",
            # On by default, and it reports to its makers.
            "-master.telemetry=false",
        ]
        if self.certificate is not None:
            argv += [f"-s3.cert.file={self.certificate[0]}", f"-s3.key.file={self.certificate[1]}"]
        tether = process.tether("KILL") if self.die_with_parent else ()
        # It keeps the flags of its first start; ours are complete.
        (self.data / "mini.options").unlink(missing_ok=True)
        server = process.spawn(
            [*tether, *argv],
            log=self.log,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory), "LANG": "C.UTF-8"},
            cwd=self.directory,
        )
        if record := process.ProcessRecord.of(server.pid):
            record.write(self._pid_file)
        try:
            self._wait_until_ready(server, timeout)
        except StackError:
            self.stop()
            # Ours has ended: what answers there now is somebody else's.
            if attempts == 1 or not any(answers(port) for port in self._ports().values()):
                raise
            return self.start(timeout=timeout, attempts=attempts - 1)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it. Does nothing when it does not run."""
        pid = self.pid
        if pid is not None:
            process.stop(pid)
        self._pid_file.unlink(missing_ok=True)
        # It leaves its sockets behind when killed, in a place that cannot be configured.
        for path in Path("/tmp").glob("seaweedfs-*.sock"):  # noqa: S108 # nosec B108
            if path.stem.rpartition("-")[2] in {str(port) for port in self._ports().values()}:
                with contextlib.suppress(OSError):
                    path.unlink()

    def __enter__(self) -> EmbeddedSeaweedFS:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        record = process.ProcessRecord.read(self._pid_file)
        return record.pid if record else None

    # -- Address and credentials -----------------------------------------------------------------------------

    @property
    def port(self) -> int:
        return self._ports()["s3.port"]

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def https_port(self) -> int:
        """Of the same endpoint behind TLS; only with a certificate."""
        return self._ports()[_HTTPS]

    @property
    def access_key(self) -> str:
        return str(self._credential()["accessKey"])

    @property
    def secret_key(self) -> str:
        return str(self._credential()["secretKey"])

    def keys_of(self, user: str) -> tuple[str, str]:
        """Access key and secret key of one of ``users``."""
        credential = self._credential(user)
        return credential["accessKey"], credential["secretKey"]

    # -- Inside ----------------------------------------------------------------------------------------------

    def _credential(self, user: str = _ADMINISTRATOR) -> dict[str, str]:
        identities = json.loads(self._identities_file.read_text())["identities"]
        return next(dict(one["credentials"][0]) for one in identities if one["name"] == user)

    def _write_identities(self) -> None:
        """Those that are missing are added; the others keep their credentials."""
        known = []
        if self._identities_file.exists():
            known = json.loads(self._identities_file.read_text())["identities"]
        wanted = {_ADMINISTRATOR: ["Admin", "Read", "Write", "List", "Tagging"]}
        wanted |= {user: [] for user in self.users}
        for one in known:
            wanted.pop(one["name"], None)
        if not wanted:
            return
        made = [
            {
                "name": name,
                "credentials": [
                    {
                        "accessKey": f"BACKSTOP{secrets.token_hex(6).upper()}",
                        "secretKey": secrets.token_urlsafe(30),
                    }
                ],
                "actions": actions,
            }
            for name, actions in wanted.items()
        ]
        write_private(self._identities_file, json.dumps({"identities": [*known, *made]}))

    def _ports(self) -> dict[str, int]:
        try:
            return dict(json.loads(self._ports_file.read_text()))
        except FileNotFoundError:
            return {}

    def _settle_ports(self) -> None:
        """Keep the remembered ports that are free and pick others for the rest."""
        remembered = self._ports()
        listeners = LISTENERS if self.certificate is None else (*LISTENERS, _HTTPS)
        fresh = iter(free_ports(len(listeners)))
        ports = {}
        for name in listeners:
            port = remembered.get(name)
            ports[name] = port if port is not None and becomes_free(port) else next(fresh)
        if self._wanted_port is not None:
            if not becomes_free(self._wanted_port):
                raise StackError(
                    f"port {self._wanted_port} for SeaweedFS is taken",
                    hint="stop what listens there, or choose another port",
                )
            ports["s3.port"] = self._wanted_port
        # The master keeps its state in a folder named by its port; on another port it would begin empty.
        former = remembered.get("master.port")
        if former not in (None, ports["master.port"]) and (self.data / f"m{former}").exists():
            (self.data / f"m{former}").rename(self.data / f"m{ports['master.port']}")
        self._ports_file.write_text(json.dumps(ports))

    def _wait_until_ready(self, server: subprocess.Popen[bytes] | None, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while True:
            if (server is not None and server.poll() is not None) or self.pid is None:
                said = process.tail(self.log)
                full = "no space left" in said.lower()
                raise StackError(
                    f"SeaweedFS in {self.directory} ended at once:\n{said}",
                    hint="the disk is full: free some space, then try again" if full else f"read {self.log}",
                )
            trouble = self._trouble() if self.answers() else "no answer"
            if not trouble:
                return
            if time.monotonic() > deadline:
                raise StackError(
                    f"SeaweedFS at {self.endpoint_url} was not ready within {timeout:.0f} s: {trouble}",
                    hint=f"read {self.log}",
                )
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether the endpoint speaks HTTP now."""
        try:
            urllib.request.urlopen(f"{self.endpoint_url}/", timeout=2).close()  # noqa: S310 # nosec B310
        except urllib.error.HTTPError:
            return True  # an unsigned request is refused: it is up, and it checks
        except OSError:
            return False
        return True

    def _trouble(self) -> str:
        """Create the buckets that are missing and read back an object; what went wrong, or nothing."""
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(retries={"total_max_attempts": 1}),
        )
        try:
            present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
            for bucket in {*self.buckets, READINESS_BUCKET} - present:
                client.create_bucket(Bucket=bucket)
            if READINESS_BUCKET not in present:
                client.put_object(Bucket=READINESS_BUCKET, Key="stored", Body=b"once")
            # From an earlier run: after a kill its volumes are known to the server only a moment after it
            # answers, and until then every stored object is an InternalError (tried).
            client.get_object(Bucket=READINESS_BUCKET, Key="stored")["Body"].read()
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchKey":
                # A start was cut short between bucket and object.
                client.put_object(Bucket=READINESS_BUCKET, Key="stored", Body=b"once")
            return str(error)
        return ""
