"""Where a drill's things lie, one drill of a target at a time, and how all of it goes away again.

``<directory>/backstop-drills/<target>/<drill id>/``: ``drill.json`` is the plan, and stays while anything
else does; a folder a component beside it. Whatever kills a drill, the next one finds this and clears it away.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import stat
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.drill.serving import server_sockets
from backstop.errors import IntegrityError, LeaseHeldError, RestoreError, StorageError
from backstop.files.removal import remove_tree
from backstop.model.canonical import canonical_json
from backstop.model.drill_plan import DrillPlan
from backstop.postgres.isolated_server import socket_directory
from backstop.postgres.scratch import sweep_leftovers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

FOLDER = "backstop-drills"
FORGOTTEN_SECONDS = 6 * 3600.0
"""A drill that tasks carry out, and that none of them has touched for so long, is dead."""
_JOURNAL = "drill.json"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class DrillFolder:
    """Of one target on one machine. :param directory: ``drill.directory`` of targets.yaml."""

    directory: Path
    target: str
    _held: dict[str, int] = field(default_factory=dict)

    @property
    def place(self) -> Path:
        return self.directory / FOLDER / self.target

    def of(self, drill_id: str) -> Path:
        return self.place / drill_id

    def claim(
        self, plan: DrillPlan, *, ending: Callable[[DrillPlan], None] = lambda _: None
    ) -> list[DrillPlan]:
        """Make the drill's folder, unless it is there already, and clear away what dead ones left.

        An attended drill keeps its claim until it is removed; nobody can take it while its process lives.

        :param ending: called for each dead one while its folder is still there.
        :returns: the plans of those that were dead: their marks in repositories are still to be taken away.
        :raises LeaseHeldError: another drill of the target is under way.
        :raises StorageError: nothing can be made there.
        """
        if plan.drill_id in self._held:
            return []
        try:
            descriptor = self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB, make=True)
        except BlockingIOError:
            raise self._under_way("") from None
        except OSError as error:
            raise StorageError(
                f"{self.place} cannot be used for drills: {error.strerror or error}",
                hint="name another folder in `drill.directory` of targets.yaml",
            ) from error
        try:
            dead = self._claim(plan, ending)
        except BaseException:
            os.close(descriptor)
            raise
        if plan.attended:
            self._held[plan.drill_id] = descriptor
        else:
            os.close(descriptor)
        return dead

    @contextmanager
    def step(self, plan: DrillPlan) -> Iterator[Path]:
        """The drill's folder while one of its steps works in it; nobody takes it away meanwhile.

        :raises RestoreError: it is not there: the drill was torn down, or this is another machine.
        """
        folder = self.of(plan.drill_id)
        gone = RestoreError(
            f"drill {plan.drill_id} has no folder {folder} on this machine",
            hint="its steps run on one machine: give them one queue; or begin another drill",
        )
        if plan.drill_id in self._held:
            yield folder
            return
        try:
            descriptor = self._locked(fcntl.LOCK_SH)
        except FileNotFoundError:
            raise gone from None
        try:
            if not (folder / _JOURNAL).is_file():
                raise gone
            os.utime(folder / _JOURNAL)
            yield folder
        finally:
            with suppress(OSError):
                os.utime(folder / _JOURNAL)
            os.close(descriptor)

    def component(self, folder: Path, component: str) -> Path:
        """A new folder for one component; what an earlier try left is removed. :param folder: the drill's."""
        stem = component.replace(":", "-")
        for old in folder.glob(f"{stem}-????????"):
            _remove_component(old)
        # Of a name that no other has: a socket in /tmp may be called after it.
        made = folder / f"{stem}-{secrets.token_hex(4)}"
        made.mkdir(mode=0o700)
        return made

    def discard(self, folder: Path) -> None:
        """What there is of a component that did not come back: its room may be needed."""
        _remove_component(folder)

    def remove(self, drill_id: str, *, ending: Callable[[], Sequence[str]] = tuple) -> tuple[str, ...]:
        """Everything of the drill; what is not there is no error. Waits for a step that still runs.

        :param ending: called while the folder is still there; says what it leaves, a sentence each.
        :returns: what could not be removed, a sentence each.
        """
        descriptor = self._held.pop(drill_id, None)
        try:
            if descriptor is None:
                descriptor = self._locked(fcntl.LOCK_EX)
        except FileNotFoundError:
            return ()
        try:
            left = (*ending(), *_remove_drill(self.of(drill_id)))
            # Whoever waits for the lock that we have finds the folder gone, and makes it anew.
            with suppress(OSError):
                self.place.rmdir()
                self.place.parent.rmdir()
        finally:
            os.close(descriptor)
        return left

    def found(self) -> list[DrillPlan]:
        """Every drill of which something is left here, under way or dead."""
        if not self.place.is_dir():
            return []
        plans = [_read(one) for one in sorted(self.place.iterdir()) if _is_ours(one)]
        return [one for one in plans if one is not None]

    # -- Inside ----------------------------------------------------------------------------------------------

    def _locked(self, how: int, *, make: bool = False) -> int:
        """The target's folder, open and locked: the lock goes with the process.

        :raises FileNotFoundError: it is not there. :raises BlockingIOError: somebody else has it.
        """
        while True:
            if make:
                self.place.mkdir(mode=0o711, parents=True, exist_ok=True)
                for folder in (self.place.parent, self.place):
                    _refuse_strangers(folder)
                    # The server's user id passes through, and cannot look around.
                    folder.chmod(0o711)
            descriptor = os.open(self.place, _DIRECTORY)
            try:
                fcntl.flock(descriptor, how)
                if os.path.samestat(os.fstat(descriptor), self.place.stat()):
                    return descriptor
            except FileNotFoundError:
                if not make:
                    os.close(descriptor)
                    raise
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # removed meanwhile by whoever had it

    def _claim(self, plan: DrillPlan, ending: Callable[[DrillPlan], None]) -> list[DrillPlan]:
        dead = []
        for folder in sorted(one for one in self.place.iterdir() if _is_ours(one)):
            if folder.name == plan.drill_id:
                continue
            other = _read(folder)
            if other is not None and not _is_dead(folder, other):
                raise self._under_way(other.drill_id)
            if other is not None:
                ending(other)
            left = _remove_drill(folder)
            if left:
                raise StorageError(left[0], hint="remove it by hand, then drill again")
            if other is not None:
                dead.append(other)
        folder = self.of(plan.drill_id)
        folder.mkdir(mode=0o711, exist_ok=True)
        if not (folder / _JOURNAL).exists():
            new = folder / f"{_JOURNAL}.new"
            new.write_bytes(canonical_json(plan.to_dict()))
            new.replace(folder / _JOURNAL)
        return dead

    def _under_way(self, drill_id: str) -> LeaseHeldError:
        which = f"drill {drill_id}" if drill_id else "a drill"
        return LeaseHeldError(
            f"{which} of {self.target} is under way in {self.place}",
            hint="wait for it; if it is dead, tear it down: "
            f"`python -m backstop run-drill --target {self.target} --tear-down`",
        )


def _read(folder: Path) -> DrillPlan | None:
    """Its plan; None: it had hardly begun."""
    try:
        return DrillPlan.from_dict(json.loads((folder / _JOURNAL).read_bytes()))
    except (OSError, ValueError, IntegrityError):
        return None


def _is_dead(folder: Path, plan: DrillPlan) -> bool:
    """Asked by who has the lock: a living process that carries a whole drill out would have it."""
    idle = time.time() - (folder / _JOURNAL).stat().st_mtime
    return plan.attended or idle > FORGOTTEN_SECONDS


def _remove_drill(folder: Path) -> tuple[str, ...]:
    """The plan last: as long as anything is left, somebody will find it."""
    if not _is_ours(folder):
        return ()
    for one in folder.iterdir():
        if _is_ours(one):
            _remove_component(one)
    left = tuple(f"{one} could not be removed" for one in folder.iterdir() if _is_ours(one))
    if not left:
        remove_tree(bytes(folder), ignore_errors=True)
        left = (f"{folder} could not be removed",) if folder.exists() else ()
    return left


def _remove_component(folder: Path) -> None:
    """And its servers' sockets, which may lie in /tmp."""
    with suppress(OSError):
        sweep_leftovers(folder)
    for sockets in (server_sockets(folder), socket_directory(folder, "")):
        if folder not in sockets.parents and _is_ours(sockets):
            shutil.rmtree(sockets, ignore_errors=True)
    remove_tree(bytes(folder), ignore_errors=True)


def _is_ours(path: Path) -> bool:
    """A folder, and no link that somebody else put there."""
    with suppress(OSError):
        return stat.S_ISDIR(path.lstat().st_mode)
    return False


def _refuse_strangers(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise StorageError(
            f"{folder} is not this user's own folder",
            hint="name another folder in `drill.directory` of targets.yaml",
        )
