"""Under which account PostgreSQL runs: never root, and always one that can reach its files."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedded.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Account:
    """How to start a program unprivileged: an argv prefix, or a user id to change to, or neither."""

    name: str
    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        """Hand ``path`` to this account."""
        if self.uid is not None:
            os.chown(path, self.uid, self.gid if self.gid is not None else -1)


def postgres_account(directory: Path, bin_dir: Path) -> Account:
    """The account for a server with its data below ``directory`` (which exists) and programs in ``bin_dir``.

    An ordinary user runs PostgreSQL as itself. Root changes to `postgres` or `nobody` where they can reach
    both places, else (a checkout below a 0700 home) to a user namespace in which root's files belong to an
    ordinary user: PostgreSQL then has no privilege outside it. Data that exists already settles which.
    """
    data = directory / "data"
    settled = data.stat().st_uid if data.exists() else None
    if os.geteuid() != 0:
        if _has_name(os.geteuid()):
            return Account(name=pwd.getpwuid(os.geteuid()).pw_name)
    elif settled != 0:
        candidates = [settled] if settled else [entry.pw_uid for entry in _stand_ins()]
        for uid in candidates:
            entry = pwd.getpwuid(uid)
            account = Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
            if _can_run(account, bin_dir) and _can_enter(account, directory):
                return account
    for entry in _stand_ins():
        account = Account(
            name=f"{entry.pw_name} (user namespace)",
            prefix=("unshare", "--user", f"--map-user={entry.pw_uid}", "--"),
        )
        if shutil.which("unshare") and settled in (None, os.geteuid()) and _can_run(account, bin_dir):
            return account
    raise StackError(
        f"PostgreSQL does not run as root, and no other user can reach both {bin_dir} and {directory}",
        hint="run this as an ordinary user with a name, or move the checkout to where others may enter",
    )


def _stand_ins() -> list[pwd.struct_passwd]:
    # initdb insists on a user that has a name. A namespace may map to any; prefer the ones meant for this.
    by_name = {entry.pw_name: entry for entry in pwd.getpwall() if entry.pw_uid != 0}
    return [by_name[name] for name in ("postgres", "nobody", "daemon") if name in by_name]


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _can_run(account: Account, bin_dir: Path) -> bool:
    return _succeeds(account, [str(bin_dir / "postgres"), "--version"])


def _can_enter(account: Account, directory: Path) -> bool:
    return _succeeds(account, ["test", "-x", str(directory)])


def _succeeds(account: Account, argv: list[str]) -> bool:
    try:
        done = subprocess.run(
            [*account.prefix, *argv],
            user=account.uid,
            group=account.gid,
            extra_groups=None if account.uid is None else [],
            cwd="/",
            check=False,
            capture_output=True,
        )
    except OSError:
        return False
    return done.returncode == 0
