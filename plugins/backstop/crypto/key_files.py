"""Files that hold secrets: readable by their owner alone, created whole, never overwritten by accident."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from backstop.crypto.streams import raise_if_full
from backstop.errors import KeyUnavailableError

_MOST_BYTES = 1024 * 1024


_MISSING = {
    "key ring": "copy it from its escrow; only for a new set-up, create one. Without the old ring, "
    "backups written with it cannot be read",
    "signing key": "copy it from where it is kept; only for a new set-up, create one",
    "escrow key": "name the file with the private half of the offline key: it is in the safe, on no machine",
}


def read_key_file(path: Path, *, what: str) -> bytes:
    """The file's bytes, after checking that nobody else can read or change it.

    Symbolic links are followed (Kubernetes mounts secrets as links); what is judged is the file itself.

    :param what: for errors: "key ring", "signing key".
    :raises KeyUnavailableError: missing, unreadable, not a file, of another owner, or open to others.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            _refuse_unsafe(path, status, what=what)
            return file.read(_MOST_BYTES)
    except FileNotFoundError as error:
        raise KeyUnavailableError(
            f"{what} {path} does not exist",
            hint=_MISSING.get(what, f"name the {what} where it is, or make one"),
        ) from error
    except OSError as error:
        raise KeyUnavailableError(
            f"{what} {path} cannot be read: {error.strerror}",
            hint="run as the user who owns it, or give that file to this user",
        ) from error


def _refuse_unsafe(path: Path, status: os.stat_result, *, what: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyUnavailableError(f"{what} {path} is not a regular file", hint="name the file itself")
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise KeyUnavailableError(
            f"{what} {path} is open to other users (mode {mode:04o})",
            hint=f"chmod 600 {path}; if others could read it for long, rotate the key",
        )
    if status.st_uid not in (os.geteuid(), 0):
        raise KeyUnavailableError(
            f"{what} {path} belongs to user id {status.st_uid}, and this is user id {os.geteuid()}",
            hint=f"run as that user, or chown {os.geteuid()} {path}",
        )


def create_file(path: Path, data: bytes, *, what: str, mode: int = 0o600) -> None:
    """Create the file whole and durable; missing parent directories are made 0700.

    :raises KeyUnavailableError: it already exists (it is left as it is), or cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = _write_beside(path, data, mode)
        try:
            # Unlike a rename, a link never replaces: of two creators one learns that it came second.
            os.link(temporary, path)
        finally:
            temporary.unlink()
        _sync_directory(path.parent)
    except FileExistsError as error:
        raise KeyUnavailableError(
            f"{what} {path} already exists",
            hint="it is left untouched: backups may need it. Use it, or name another path",
        ) from error
    except OSError as error:
        raise_if_full(error, path)
        raise KeyUnavailableError(
            f"{what} {path} cannot be created: {error.strerror}",
            hint="name a directory that this user may write to",
        ) from error


def replace_file(path: Path, data: bytes, *, what: str, mode: int = 0o600) -> None:
    """Replace the file's content in one step; whoever reads sees the old or the new, whole.

    :raises KeyUnavailableError: it cannot be written; the old content stays.
    """
    try:
        temporary = _write_beside(path, data, mode)
        try:
            temporary.replace(path)
        except OSError:
            temporary.unlink()
            raise
        _sync_directory(path.parent)
    except OSError as error:
        raise_if_full(error, path)
        raise KeyUnavailableError(
            f"{what} {path} cannot be rewritten: {error.strerror}",
            hint="run as the user who owns it; the old content is unchanged",
        ) from error


def _write_beside(path: Path, data: bytes, mode: int) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)  # 0600 from its first moment
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink()
        raise
    return temporary


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
