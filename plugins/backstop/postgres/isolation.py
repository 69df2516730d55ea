"""Keeping code that a dump contains away from the machine it is restored on.

What a dump contains is code: a function in a CHECK constraint runs while rows are copied in, and a
superuser's function may start programs. So a scratch server runs where there is nothing to reach: a file
system assembled from a short list of system directories (read-only) plus its own data directory, no
network, no other processes, no environment, no capabilities, a user id of its own.

Only util-linux is needed (``unshare``, ``mount``, ``pivot_root``, ``setpriv``). Two ways lead there: as
root, switching to a free user id; as anyone else, through a user namespace (PostgreSQL refuses user id 0,
so a second one inside shows it another number).
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from backstop.errors import ScratchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Way = Literal["root", "user", "none"]
IsolationPolicy = Literal["required", "preferred", "none"]

_SANDBOX = Path(__file__).with_name("sandbox.sh")
_PROGRAMS = ("unshare", "setpriv", "mount", "umount", "pivot_root", "sh")
_SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# User ids that systemd hands out to dynamic users: no distribution gives them to anybody permanently.
_FREE_UIDS = range(61184, 65520)
_UID_IN_USER_NAMESPACE = 1000

# All that programs may see of the machine, besides their own directories. Not /etc (keys, passwords), not
# /home, /root, /run (sockets of live servers), /srv, /var: what is not listed does not exist in there.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SYSTEM_DETAILS = (
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/locale.alias",
    "/etc/ssl/openssl.cnf",
    "/var/cache/postgresql/dicts",
)


@dataclass(frozen=True)
class Isolation:
    """How programs are kept apart here; :func:`probe_isolation` finds out.

    :param kind: ``root`` or ``user`` (two ways to the same isolation), or ``none``.
    :param description: for people; it goes into the proof.
    :param uid: the user id programs get, as they see it themselves.
    :param obstacles: why each better way did not work, one sentence each.
    """

    kind: Way
    description: str
    uid: int
    obstacles: tuple[str, ...] = field(default=())

    @property
    def owner(self) -> int:
        """The user id, as seen from outside, that must own the directories programs write to."""
        return os.geteuid() if self.kind == "user" else self.uid

    def argv(
        self,
        program: Sequence[str],
        *,
        root: Path,
        writable: Sequence[Path] = (),
        sealed: Sequence[Path] = (),
        readable: Sequence[Path] = (),
        hide: Sequence[Path] = (),
    ) -> list[str]:
        """The command line that runs ``program`` isolated; see sandbox.sh for its standard streams.

        :param root: an existing empty directory; the new file system is mounted on it, inside only.
        :param writable: directories owned by :attr:`owner`, at the same path inside.
        :param sealed: the same, until the line ``seal`` makes them read-only.
        :param readable: further directories to show, read-only, such as the program's own.
        :param hide: places to blank out should they lie within anything shown.
        """
        arguments = [self.kind, str(self.uid), str(root)]
        if self.kind != "none":
            arguments += _file_system([*writable, *sealed], readable, hide)
        for directory in sealed:
            if "\n" in str(directory):
                raise ScratchError(
                    f"{str(directory)!r} has a line break in its name", hint="choose another directory"
                )
            arguments += ["--seal", str(directory)]
        return [*self._namespaces(), "/bin/sh", str(_SANDBOX), *arguments, "--", *program]

    def _namespaces(self) -> list[str]:
        if self.kind == "none":
            return []
        user = ["--user", "--map-root-user"] if self.kind == "user" else []
        # --kill-child: when unshare dies, so does process 1 and with it everything in the PID namespace.
        return [
            _program("unshare"), *user, "--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup",
            "--fork", "--kill-child", "--",
        ]  # fmt: skip


def probe_isolation() -> Isolation:
    """Try each way for real, the stronger first; ``kind`` is ``none`` when neither works here."""
    obstacles = []
    for candidate in _candidates():
        problem = _try(candidate)
        if not problem:
            return candidate
        obstacles.append(problem)
    return no_isolation(obstacles)


def choose_isolation(policy: IsolationPolicy) -> Isolation:
    """What ``verify.isolation`` asks for; ``preferred`` takes what there is, and its description says so.

    :raises ScratchError: it is required and this machine offers none.
    """
    if policy == "none":
        return no_isolation()
    isolation = probe_isolation()
    if isolation.kind == "none" and policy == "required":
        raise ScratchError(
            "restores into scratch must be isolated, and this machine offers no way: "
            + "; ".join(isolation.obstacles),
            hint="allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
            "kernel.apparmor_restrict_unprivileged_userns; in a container also its seccomp profile), or name "
            "a server in verify.server_conn_id, or accept the risk with verify.isolation: none",
        )
    return isolation


def no_isolation(obstacles: Iterable[str] = ()) -> Isolation:
    """Programs run with all that their user may do; as root, under a user id of their own at least."""
    # initdb insists on a user id that has a name; in the other ways sandbox.sh gives it one.
    uid = os.geteuid() or pwd.getpwnam("nobody").pw_uid
    whose = "the worker's own user id" if os.geteuid() else "user id nobody"
    return Isolation(
        kind="none",
        description=f"not isolated: {whose}; files and network of the worker are within reach",
        uid=uid,
        obstacles=tuple(obstacles),
    )


def run_as(account: str) -> Isolation:
    """For a data directory that is to stay: an account of the machine's own, never root, and no isolation.

    :param account: a user name; empty is this process's own user, and for root a user namespace in which its
        files belong to somebody else: the data directory is root's then.
    :raises ScratchError: there is no such user, or only root could become it.
    """
    try:
        uid = pwd.getpwnam(account).pw_uid if account else os.geteuid()
    except KeyError:
        raise ScratchError(f"this machine has no user {account!r}", hint="name an existing one") from None
    if uid == 0 and not account and not _try(isolation_as_user()):
        # Root's own files, and a server that sees itself as somebody else: it may do less, not more.
        return isolation_as_user()
    if uid == 0:
        raise ScratchError("PostgreSQL does not run as root", hint="name the user it runs under: postgres")
    if uid != os.geteuid() and os.geteuid() != 0:
        raise ScratchError(f"only root can start a server as user {account}", hint="run this as that user")
    return Isolation(kind="none", description=f"not isolated: runs as user id {uid}", uid=uid)


def isolation_as_root() -> Isolation:
    """The way for a worker that runs as root."""
    return Isolation(
        kind="root",
        description="isolated: own user id, own file system, no network or other processes, no privileges",
        uid=_free_uid(),
    )


def isolation_as_user() -> Isolation:
    """The way through user namespaces."""
    return Isolation(
        kind="user",
        description="isolated: user namespace, own file system, no network or other processes, no privileges",
        uid=_UID_IN_USER_NAMESPACE,
    )


def run_isolated(argv: Sequence[str], *, timeout: float) -> subprocess.CompletedProcess[bytes]:
    """Run a command line of :meth:`Isolation.argv` to its end, in an empty environment.

    :param timeout: seconds, after which everything inside is killed.
    :raises ScratchError: that happened.
    """
    # The life line must stay open until the program is done; communicate() would close a pipe of its own.
    inside, life_line = os.pipe()
    with subprocess.Popen(
        argv, stdin=inside, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}, cwd="/"
    ) as process:
        os.close(inside)
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise ScratchError(
                f"an isolated program did not finish within {timeout:.0f} s",
                hint="the worker may be overloaded; try again",
            ) from None
        finally:
            os.close(life_line)
    return subprocess.CompletedProcess(argv, process.returncode, output, errors)


def shared_library_directories(program: Path) -> set[Path]:
    """Directories outside the system's own that ``program`` loads libraries from."""
    ldd = shutil.which("ldd", path=_SEARCH_PATH)
    if ldd is None:
        return set()
    answer = subprocess.run([ldd, str(program)], capture_output=True, text=True, check=False, env={})
    libraries = re.findall(r"=> (/\S+)", answer.stdout)
    return {
        Path(library).resolve().parent
        for library in libraries
        if not str(Path(library).resolve()).startswith(tuple(f"{place}/" for place in _SYSTEM))
    }


def _candidates() -> Iterator[Isolation]:
    if os.geteuid() == 0:
        yield isolation_as_root()
    yield isolation_as_user()


def _try(isolation: Isolation) -> str:
    """Why it does not work; empty when it does."""
    missing = [name for name in _PROGRAMS if shutil.which(name, path=_SEARCH_PATH) is None]
    if missing:
        return f"programs not installed: {', '.join(missing)} (package util-linux)"
    with tempfile.TemporaryDirectory(prefix="backstop-probe-") as directory:
        # The directory exists, and must not be there for the program.
        checks = f'test ! -e "{directory}" && test "$(id -u)" = {isolation.uid} && test ! -w /'
        attempt = run_isolated(isolation.argv(["/bin/sh", "-c", checks], root=Path(directory)), timeout=30)
    if attempt.returncode == 0:
        return ""
    words = attempt.stderr.decode(errors="replace").strip().splitlines()
    return f"as {isolation.kind}: {words[0] if words else f'exit status {attempt.returncode}'}"


def _program(name: str) -> str:
    found = shutil.which(name, path=_SEARCH_PATH)
    if found is None:
        raise ScratchError(f"program {name} is missing", hint="install the package util-linux")
    return found


def _free_uid() -> int:
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    start = os.getpid()
    candidates = (_FREE_UIDS[(start + step) % len(_FREE_UIDS)] for step in range(len(_FREE_UIDS)))
    return next(uid for uid in candidates if uid not in taken)


def _file_system(writable: Sequence[Path], readable: Sequence[Path], hide: Sequence[Path]) -> list[str]:
    """sandbox.sh's operations that assemble what can be seen."""
    mounts = _mounted()
    shown = [Path(place) for place in (*_SYSTEM, *_SYSTEM_DETAILS)]
    operations: list[str] = []
    # A directory inside another that is shown already would be bound twice.
    for place in shown + sorted(path.resolve() for path in readable if not _within(path.resolve(), shown)):
        if place.is_symlink() and str(place) in _SYSTEM:
            operations += ["--symlink", str(place.readlink()), str(place)]
        elif place.exists():
            operations += ["--bind", str(place)]
            # A recursive bind brings whatever is mounted below; "read-only" holds for one mount at a time.
            for mount in [place, *(mount for mount in mounts if place in mount.parents)]:
                operations += ["--options", str(mount), _options(mount, mounts, "ro")]
    for place in hide:
        if place.exists() and _within(place.resolve(), [*shown, *(path.resolve() for path in readable)]):
            operations += ["--hide", str(place.resolve())]
    for place in writable:
        operations += ["--bind", str(place), "--options", str(place), _options(place, mounts, "rw,noexec")]
    return operations


def _within(path: Path, places: Sequence[Path]) -> bool:
    return any(path == place or place in path.parents for place in places)


def _mounted() -> dict[Path, set[str]]:
    """Mount points and their options: proc(5), mountinfo, fields 5 and 6. The last on a point counts."""
    table = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    mounts = {}
    for line in table.splitlines():
        fields = line.split(" ")
        point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[4])
        mounts[Path(point)] = set(fields[5].split(","))
    return mounts


def _options(place: Path, mounts: dict[Path, set[str]], mode: str) -> str:
    # In a user namespace a mount's restrictions can be added to, never taken away: name those it has.
    around = next(mounts[point] for point in (place, *place.parents) if point in mounts)
    inherited = [option for option in ("noexec",) if option in around and option not in mode]
    return ",".join([mode, "nosuid", "nodev", *inherited])
