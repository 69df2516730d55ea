"""The folder of the embedded stack: what lies where, and who may change it now."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedded.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parent.parent
#: Two empty clusters, Airflow's tables and logs, a small sample and its backups.
NEEDED_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Home:
    """``BACKSTOP_HOME``, or ``.backstop`` in the checkout."""

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        return cls(Path(os.environ.get("BACKSTOP_HOME") or CHECKOUT / ".backstop").absolute())

    @property
    def metadata(self) -> Path:
        """The cluster with Airflow's metadata and the inventory."""
        return self.root / "metadata"

    @property
    def protected(self) -> Path:
        """The cluster with the protected database."""
        return self.root / "protected"

    @property
    def seaweedfs(self) -> Path:
        return self.root / "seaweedfs"

    @property
    def airflow(self) -> Path:
        return self.root / "airflow"

    @property
    def repository(self) -> Path:
        return self.root / "repository"

    @property
    def receiver(self) -> Path:
        """The WAL receiver's log and process record."""
        return self.root / "receiver"

    @property
    def spool(self) -> Path:
        """WAL and base backups on their way."""
        return self.root / "spool"

    @property
    def recovered(self) -> Path:
        """Clusters recovered to a point in time."""
        return self.root / "recovered"

    @property
    def host(self) -> Path:
        """What a Calibrify host has below ``/``: the media and the configuration that are backed up."""
        return self.root / "host"

    @property
    def media(self) -> Path:
        return self.host / "var" / "www" / "calibrify" / "media"

    @property
    def keyring(self) -> Path:
        return self.root / "keys" / "keyring.json"

    @property
    def signing(self) -> Path:
        return self.root / "keys" / "signing"

    @property
    def targets(self) -> Path:
        return self.root / "targets.yaml"

    @property
    def connections(self) -> Path:
        return self.root / "connections.json"

    @property
    def metrics_token(self) -> Path:
        """What a Prometheus has to show to read the metrics."""
        return self.root / "metrics-token"

    @property
    def environment(self) -> Path:
        """What a shell sources to use the command line with this stack."""
        return self.root / "environment"

    @property
    def exists(self) -> bool:
        """Whether an embedded stack was ever set up here; a mistyped BACKSTOP_HOME is none."""
        return self._mark.exists()

    @property
    def _mark(self) -> Path:
        return self.root / "embedded-stack"

    def prepare(self, *, needed_bytes: int = NEEDED_BYTES) -> None:
        """Create it, or refuse it with the reason.

        :raises StackError: it belongs to somebody else, cannot be written, or its disk is nearly full.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StackError(
                f"{self.root} cannot be created: {error.strerror}", hint="name another with BACKSTOP_HOME"
            ) from error
        owner = self.root.stat().st_uid
        if owner != os.geteuid():
            raise StackError(
                f"{self.root} belongs to {_user_name(owner)}, and you are {_user_name(os.geteuid())}",
                hint="run this as its owner, or name a folder of your own with BACKSTOP_HOME",
            )
        self._mark.touch()
        # The account PostgreSQL runs under passes through; what is private in here is 0600 by itself.
        self.root.chmod(0o711)
        # Recovered clusters belong to that account and are private by themselves.
        self.recovered.mkdir(mode=0o711, exist_ok=True)
        self.recovered.chmod(0o711)
        free_bytes = shutil.disk_usage(self.root).free
        if free_bytes < needed_bytes:
            raise StackError(
                f"the disk of {self.root} has only {free_bytes / 1e6:,.0f} MB free; "
                f"the stack wants {needed_bytes / 1e6:,.0f}",
                hint="free some space, or name a folder on another disk with BACKSTOP_HOME",
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other `up` and `down` out; the kernel lets go when we end, however we end."""
        with (self.root / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "?"
                raise StackError(
                    f"another `up` or `down` is at work in {self.root} (process {holder})",
                    hint="wait for it to finish, then try again",
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


def _user_name(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
