"""A data directory: made by initdb, and only started by the version that made it."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from embedded.accounts import postgres_account
from embedded.errors import StackError
from embedded.files import write_private

if TYPE_CHECKING:
    from pathlib import Path

SUPERUSER = "postgres"
#: What a program started here may see of our environment.
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}


def create_cluster(data: Path, *, bin_dir: Path, password: str, durable: bool) -> None:
    """Run initdb, as an account that is not root; passwords for everyone, checksums on.

    :param data: does not exist yet; its parent does, and other accounts may pass through it.
    :param password: of the superuser.
    """
    account = postgres_account(data.parent, bin_dir)
    data.mkdir(mode=0o700)
    account.own(data)
    password_file = data.parent / "initdb.password"
    write_private(password_file, password)
    account.own(password_file)
    argv = [
        str(bin_dir / "initdb"),
        f"--pgdata={data}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--data-checksums",
        *([] if durable else ["--no-sync"]),
    ]
    try:
        done = subprocess.run(
            [*account.prefix, *argv],
            env=ENVIRONMENT,
            cwd="/",
            user=account.uid,
            group=account.gid,
            extra_groups=None if account.uid is None else [],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        password_file.unlink()
    if done.returncode != 0:
        raise StackError(
            f"initdb could not create the cluster in {data}: {done.stderr.strip()}",
            hint=hint_for(done.stderr),
        )


def refuse_other_version(data: Path, bin_dir: Path) -> None:
    """PostgreSQL would refuse too, but not say what to do.

    :raises StackError: another major version made the data.
    """
    made_by = data / "PG_VERSION"
    if not made_by.exists():
        return
    said = subprocess.run(
        [str(bin_dir / "postgres"), "--version"], capture_output=True, text=True, check=False
    ).stdout
    major = made_by.read_text().strip()
    if not re.search(rf" {re.escape(major)}\D", said):
        raise StackError(
            f"the data in {data} was made by PostgreSQL {major}, but {bin_dir} has "
            f"{said.strip() or 'none that runs'}",
            hint=f"name the programs of version {major} with BACKSTOP_PG_BIN, or start in a new directory",
        )


def hint_for(said: str) -> str:
    """The next step after initdb or the server said this."""
    if "No space left" in said or "could not write" in said:
        return "the disk is full: free some space and run this again; what was begun is cleaned up"
    return "read the log; what was begun is cleaned up on the next start"
