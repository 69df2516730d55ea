"""What is under the live name before a cut-over: a server that runs, one that has died, or nothing at all."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.commands.application import run_commands
from backstop.errors import CommandError, RestoreError

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.database.swap import ApplicationCommands


@dataclass(frozen=True, slots=True)
class MadeFolders:
    """Directories above the live one that a cut-over had to make; the topmost first."""

    paths: tuple[Path, ...] = ()

    def remove(self) -> None:
        """Those that are empty."""
        for path in reversed(self.paths):
            with suppress(OSError):
                path.rmdir()


def has_cluster(live: Path) -> bool:
    """Whether a server could be started there. What was half deleted has lost this, or gets the benefit."""
    return (live / "PG_VERSION").is_file()


def lock_file(data: Path) -> str | None:
    """What ``postmaster.pid`` says; None where there is none."""
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        return "not for us to read"


def stop_server(cluster: ApplicationCommands, live: Path) -> tuple[str, ...]:
    """Run the stop commands, every one of them; afterwards no server runs on the live directory.

    A server without data directory, one that crashed, one that somebody has stopped already: ``pg_ctl stop``
    fails with each. A server that is there says so in ``postmaster.pid``.

    :returns: what failed without need to care, one sentence each.
    :raises CommandError: a server runs, or a command failed that there was something to stop for.
    """
    failures: list[CommandError] = []
    for argv in cluster.stop:
        try:
            run_commands([argv], purpose="stop", timeout=cluster.timeout)
        except CommandError as error:
            if _runs(lock_file(live)):
                raise
            failures.append(error)
    if _runs(lock_file(live)):
        raise CommandError(
            f"{live}/postmaster.pid is there after the stop command: a server runs, or crashed",
            hint="correct the stop command, or remove that file once no server runs; nothing was moved",
        )
    return tuple(f"no server ran on {live}, and {error.message}" for error in failures)


def refuse_unless_it_runs_here(live: Path) -> None:
    """:raises CommandError: what answers is not a server on the live directory."""
    if not _runs(lock_file(live)):
        raise CommandError(
            f"the start command succeeded, but no server runs on {live}: another one answers",
            hint="end the former server, which may run without its files, then cut over again",
        )


def make_parents(live: Path, *, like: Path) -> MadeFolders:
    """The directories above the live one, where they are gone with it: of the recovered one's owner.

    :raises RestoreError: they cannot be made.
    """
    missing = [path for path in live.parents if not path.exists()][::-1]
    owner = like.stat()
    made: list[Path] = []
    try:
        for path in missing:
            path.mkdir(mode=0o700)
            made.append(path)
            path.chmod(0o755)
            if (path.stat().st_uid, path.stat().st_gid) != (owner.st_uid, owner.st_gid):
                os.chown(path, owner.st_uid, owner.st_gid)
    except OSError as error:
        MadeFolders(tuple(made)).remove()
        raise RestoreError(
            f"{live.parent} is gone and cannot be made: {error.strerror}",
            hint=f"make it, for the user that runs the server; what was recovered waits in {like}",
        ) from error
    return MadeFolders(tuple(made))


def nearest_there(path: Path) -> Path:
    """It, or the nearest directory above it that exists."""
    return next(one for one in (path, *path.parents) if one.exists())


def _runs(lock: str | None) -> bool:
    """Whether the process that a ``postmaster.pid`` names is there. What cannot be read counts as running.

    In another container its number may mean nobody, or somebody else, here: the first is found out by
    :func:`refuse_unless_it_runs_here`, behind the start.
    """
    if lock is None:
        return False
    try:
        os.kill(abs(int(lock.split("\n", 1)[0])), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError, OverflowError):
        return True
    return True
