"""The folder beside live files in which a restore puts together what will replace them, and its journal.

``<live folder>/.backstop-<16 hex>/``, private: ``new/`` has the restored files under their live names,
``journal.json`` says what they are for and how far the restore is, ``excuses.json`` which metadata could not
be set, ``lock`` is held by whoever works on it,
and let go by the kernel with its process. Whatever kills a restore, the journal tells the next one what of
this is rubbish and what had been live.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backstop.errors import RestoreError, StorageFullError
from backstop.files import exchange
from backstop.files.directories import BELOW
from backstop.files.exchange import Replacement
from backstop.files.metadata import drop_acls
from backstop.files.names import is_staging, staging_name
from backstop.files.removal import remove_tree
from backstop.files.shortfalls import Excuses
from backstop.model.file_tree import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW = b"new"
_JOURNAL, _EXCUSES, _LOCK = "journal.json", "excuses.json", "lock"
RESTORING, RESTORED, VALIDATED, SWAPPING = "restoring", "restored", "validated", "swapping"


@dataclass(frozen=True, slots=True)
class Journal:
    """What an area is for.

    :param owner: ``<target>/<tree>``: who may sweep it.
    :param state: how far the restore is.
    :param replacements: what will change hands; complete once everything is restored.
    :param folder: the line of the live folder itself, where only what is in it changes hands; or empty.
    :param links: whether hard links are among what was restored.
    """

    owner: str
    label: str
    state: str = RESTORING
    replacements: tuple[Replacement, ...] = ()
    folder: str = ""
    links: bool = False

    def to_json(self) -> bytes:
        raw = {
            "owner": self.owner,
            "label": self.label,
            "state": self.state,
            "folder": self.folder,
            "links": self.links,
            "replacements": [
                [os.fsdecode(one.name), os.fsdecode(one.kept), list(one.staged) if one.staged else None]
                for one in self.replacements
            ],
        }
        return json.dumps(raw).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Journal:
        """:raises ValueError: it is none, or names what lies elsewhere."""
        raw: dict[str, Any] = json.loads(body)
        replacements = tuple(
            Replacement(os.fsencode(name), os.fsencode(kept), (staged[0], staged[1]) if staged else None)
            for name, kept, staged in raw["replacements"]
        )
        if any(
            b"/" in name or name in (b".", b"..") for one in replacements for name in (one.name, one.kept)
        ):
            raise ValueError("its journal leads elsewhere")
        return cls(raw["owner"], raw["label"], raw["state"], replacements, raw["folder"], raw["links"])


@dataclass(slots=True)
class Area:
    """One, open and locked.

    :param live: descriptor of the live folder; :param new: of ``new/``.
    """

    live_path: bytes
    name: bytes
    live: int
    folder: int
    new: int
    journal: Journal
    lock: int = field(default=-1)

    @property
    def path(self) -> bytes:
        return self.live_path.rstrip(b"/") + b"/" + self.name

    def write(self, journal: Journal) -> None:
        """Durable behind this; before or after, never in between."""
        self._put(_JOURNAL, journal.to_json())
        self.journal = journal

    def excuse(self, excuses: Excuses) -> None:
        """Note for the comparison, which may be another task, what could not be set."""
        self._put(_EXCUSES, excuses.to_json())

    def excuses(self) -> Excuses:
        """:raises OSError: none were noted; :raises ValueError: they cannot be read."""
        return Excuses.from_json(_read(_EXCUSES, self.folder))

    def _put(self, name: str, body: bytes) -> None:
        descriptor = os.open(
            f"{name}.new",
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
            dir_fd=self.folder,
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.rename(f"{name}.new", name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        os.fsync(self.folder)

    def advance(self, state: str) -> None:
        self.write(replace(self.journal, state=state))

    def remove(self) -> None:
        """All of it; the caller has made sure that nothing in it was live."""
        # Through the open folder: whoever may write to the live one may give its name to another.
        remove_tree(b"/proc/self/fd/%d/%b" % (self.folder, NEW))
        remove_tree(self.path)

    def close(self) -> None:
        for descriptor in (self.new, self.folder, self.live, self.lock):
            if descriptor >= 0:
                os.close(descriptor)


def make_area(live: int, live_path: bytes, token: str, journal: Journal) -> Area:
    """A new one below a live folder, locked. :param live: its descriptor; the area closes it.

    :raises RestoreError: this user may not write there.
    """
    area = Area(live_path, staging_name(token), live, -1, -1, journal)
    try:
        with _alone(live):
            os.mkdir(area.name, 0o700, dir_fd=live)
            area.folder = os.open(area.name, BELOW, dir_fd=live)
            # Before anything is made in it: an ACL that the live folder hands down would go down with it.
            drop_acls(area.folder)
            os.fchmod(area.folder, 0o700)
            area.lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=area.folder)
            fcntl.flock(area.lock, fcntl.LOCK_EX)
        area.write(journal)
        os.mkdir(NEW, 0o700, dir_fd=area.folder)
        area.new = os.open(NEW, BELOW, dir_fd=area.folder)
    except OSError as error:
        area.close()
        raise refused(error, live_path) from error
    return area


@contextmanager
def open_area(live: int, live_path: bytes, name: bytes) -> Iterator[Area]:
    """One that is there. :param live: closed at the end.

    :raises RestoreError: it is gone, or somebody works on it.
    """
    area = Area(live_path, name, live, -1, -1, Journal("", ""))
    try:
        try:
            _open(area)
        except BlockingIOError:
            raise RestoreError(
                f"somebody works on {shown(area.path.strip(b'/'))} now",
                hint="wait until that restore has ended",
            ) from None
        except (OSError, ValueError) as error:
            raise RestoreError(
                f"there is no restored copy in {shown(area.path.strip(b'/'))}: {error}",
                hint="restore beside first; a later restore of the same tree clears earlier ones away",
            ) from error
        yield area
    finally:
        area.close()


def sweep(live: int, live_path: bytes, owner: str) -> list[str]:
    """Clear up after restores that were killed; what had been live is kept under its own name.

    :param live: descriptor of a live folder; it stays the caller's.
    :returns: a sentence for each that was found.
    """
    found: list[str] = []
    with _alone(live):
        for name in sorted(map(os.fsencode, os.listdir(live))):
            if is_staging(name):
                # Another user's, or of a restore that is at work: theirs.
                with suppress(PermissionError, BlockingIOError, FileNotFoundError):
                    found += _swept(Area(live_path, name, os.dup(live), -1, -1, Journal("", "")), owner)
    return found


def refused(error: OSError, path: bytes) -> RestoreError | StorageFullError:
    """What the system said about a place, as what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFullError(
            f"no space left at {shown(path.strip(b'/'))}", hint="free space, then restore again"
        )
    what = f"{error.strerror} ({error.filename!r})" if error.filename else error.strerror
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return RestoreError(
            f"{shown(path.strip(b'/'))} cannot be written to: {what}",
            hint="restore as a user who may write there, or to another place",
        )
    return RestoreError(
        f"{shown(path.strip(b'/'))} does not take what the backup holds: {what}",
        hint="restore to another file system, or choose another backup",
    )


def _swept(area: Area, owner: str) -> list[str]:
    try:
        try:
            _open(area)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            # Killed when it was being made, or removed: then there is nothing in it that was ever live.
            if area.folder < 0:
                return []
        if area.journal.owner not in (owner, ""):
            return []
        place = shown(area.path.strip(b"/"))
        if area.journal.state != SWAPPING or area.new < 0:
            area.remove()
            return [f"removed {place}, which an earlier restore had left"]
        states = [
            f"{shown(one.name).lstrip('/')} is {'as restored' if done else 'as it was'}"
            for one in area.journal.replacements
            for done in [exchange.settle(area.live, area.new, one)]
        ]
        area.remove()
        place, label = shown(area.live_path.strip(b"/")), area.journal.label
        return [f"a restore of {label} was interrupted in {place}: {', '.join(states)}"]
    finally:
        area.close()


def _open(area: Area) -> None:
    """:raises BlockingIOError: somebody works on it; :raises FileNotFoundError: it is not whole.

    :raises PermissionError: another user made it: whoever may write to a live folder could plant one.
    """
    area.folder = os.open(area.name, BELOW, dir_fd=area.live)
    if os.fstat(area.folder).st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it belongs to another user")
    area.lock = os.open(_LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=area.folder)
    fcntl.flock(area.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    area.journal = Journal.from_json(_read(_JOURNAL, area.folder))
    area.new = os.open(NEW, BELOW, dir_fd=area.folder)


def _read(name: str, folder: int) -> bytes:
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder), "rb") as file:
        return file.read()


@contextmanager
def _alone(live: int) -> Iterator[None]:
    """For a sweep, making an area and locking it are one step."""
    fcntl.flock(live, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(live, fcntl.LOCK_UN)
