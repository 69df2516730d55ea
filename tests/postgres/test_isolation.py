"""Programs in the sandbox: what they cannot see, reach or leave behind. Both ways there, and none."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backstop.errors import ScratchError
from backstop.postgres import isolation as isolation_module
from backstop.postgres.isolation import (
    Isolation,
    choose_isolation,
    isolation_as_root,
    isolation_as_user,
    no_isolation,
    probe_isolation,
    run_isolated,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 their names are the point
# Names our processes among those of tests that run at the same time: nobody else sleeps so long.
SECONDS = str(7_000_000 + os.getpid())
WAYS: dict[str, Callable[[], Isolation]] = {"root": isolation_as_root, "user": isolation_as_user}


@pytest.fixture(params=WAYS)
def isolation(request: pytest.FixtureRequest) -> Isolation:
    way = request.param
    if way == "root" and os.geteuid() != 0:
        pytest.skip("way 'root' needs root")
    candidate = WAYS[way]()
    problem = isolation_module._try(candidate)
    if problem:
        pytest.skip(f"this machine does not offer way {way!r}: {problem}")
    return candidate


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that anyone may enter, with an empty mount point and a place the program may write to."""
    with tempfile.TemporaryDirectory(prefix="backstop-tests-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "root").mkdir()
        (directory / "data").mkdir(mode=0o700)
        yield directory


def shell(
    isolation: Isolation, place: Path, script: str, *, hide: tuple[Path, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    data = place / "data"
    if isolation.owner != os.geteuid():
        os.chown(data, isolation.owner, isolation.owner)
    argv = isolation.argv(["/bin/sh", "-c", script], root=place / "root", writable=[data], hide=hide)
    return run_isolated(argv, timeout=30)


def test_a_program_writes_to_its_own_directory_and_the_worker_sees_it(
    isolation: Isolation, place: Path
) -> None:
    ran = shell(isolation, place, f"echo hello >{place}/data/greeting")

    assert ran.returncode == 0, ran.stderr
    assert (place / "data/greeting").read_text() == "hello\n"


@pytest.mark.parametrize("secret", ["/etc/shadow", "/etc/hosts", "/root", "/home", "/run", "/srv", "/sys"])
def test_places_of_the_machine_do_not_exist_for_a_program(
    isolation: Isolation, place: Path, secret: str
) -> None:
    assert shell(isolation, place, f"test ! -e {secret}").returncode == 0


def test_a_world_readable_file_beside_the_data_directory_is_invisible(
    isolation: Isolation, place: Path
) -> None:
    key = place / "keyring.json"
    key.write_text("secret")

    assert shell(no_isolation(), place, f"cat {key}").stderr == b"secret"
    assert shell(isolation, place, f"cat {key}").returncode != 0


def test_a_hidden_place_inside_a_system_directory_is_blank(isolation: Isolation, place: Path) -> None:
    ran = shell(isolation, place, 'test -z "$(ls /usr/share)"', hide=(Path("/usr/share"),))

    assert ran.returncode == 0
    assert list(Path("/usr/share").iterdir())


@pytest.mark.parametrize("target", ["/usr/owned", "/owned", "/etc/owned", "/dev/owned", "/proc/sys/owned"])
def test_a_program_cannot_write_elsewhere(isolation: Isolation, place: Path, target: str) -> None:
    assert shell(isolation, place, f"echo >{target}").returncode != 0
    assert not Path(target).exists()


def test_temporary_directories_are_private(isolation: Isolation, place: Path) -> None:
    names = [f"{directory}/backstop-owned-{os.getpid()}" for directory in TEMPORARY]

    ran = shell(isolation, place, " && ".join(f"echo >{name}" for name in names))

    assert ran.returncode == 0
    assert not any(Path(name).exists() for name in names)


def test_switches_of_the_kernel_are_out_of_reach(isolation: Isolation, place: Path) -> None:
    # In a user namespace, root outside still owns /proc/sys: writing core_pattern would be a way out.
    assert shell(isolation, place, "test ! -w /proc/sys/kernel/core_pattern").returncode == 0
    assert shell(isolation, place, "test ! -w /proc/sysrq-trigger").returncode == 0


def test_the_environment_holds_nothing_of_ours(
    isolation: Isolation, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    names = {line.split(b"=")[0] for line in shell(isolation, place, "env").stderr.splitlines()}

    assert names <= {b"PATH", b"PWD", b"OLDPWD", b"SHLVL", b"_"}


def test_a_program_has_no_privileges_and_can_gain_none(isolation: Isolation, place: Path) -> None:
    status = shell(isolation, place, "cat /proc/self/status").stderr.decode()

    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status
    assert f"Uid:\t{isolation.uid}\t" in status


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed: its /dev/tcp opens sockets")
def test_no_connection_arrives_from_a_program(isolation: Isolation, place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        port = listener.getsockname()[1]
        ran = shell(isolation, place, f"bash -c 'echo >/dev/tcp/127.0.0.1/{port}'")

        assert ran.returncode != 0
        with pytest.raises(TimeoutError):
            listener.accept()

        # The same without isolation does arrive.
        shell(no_isolation(), place, f"bash -c 'echo >/dev/tcp/127.0.0.1/{port}'")
        listener.accept()[0].close()


def test_a_process_it_leaves_behind_is_killed(isolation: Isolation, place: Path) -> None:
    started = time.monotonic()
    shell(isolation, place, f"setsid sleep {SECONDS} & sleep 0.1")

    assert time.monotonic() - started < 60
    assert not processes_named(SECONDS)


def test_everything_ends_when_the_worker_is_killed(isolation: Isolation, place: Path) -> None:
    if isolation.owner != os.geteuid():
        os.chown(place / "data", isolation.owner, isolation.owner)
    argv = isolation.argv(
        ["/bin/sh", "-c", f"echo >{place}/data/started; sleep {SECONDS}"],
        root=place / "root",
        writable=[place / "data"],
    )
    worker = os.fork()
    if worker == 0:
        try:
            run_isolated(argv, timeout=60)
        finally:
            os._exit(0)
    wait_until(lambda: bool(processes_named(SECONDS)))

    os.kill(worker, 9)
    os.waitpid(worker, 0)

    wait_until(lambda: not processes_named(SECONDS))


def test_a_program_that_takes_too_long_is_ended_and_said_so(isolation: Isolation, place: Path) -> None:
    argv = isolation.argv(["/bin/sleep", SECONDS], root=place / "root")

    with pytest.raises(ScratchError, match="did not finish within 1 s"):
        run_isolated(argv, timeout=1)

    assert not processes_named(SECONDS)


def test_a_program_that_fails_at_once_leaves_nothing_behind_that_holds_its_output_open(place: Path) -> None:
    # A race in the shell: with many at once, one in three hundred used to hang until its time was up.
    argv = no_isolation().argv(["/nonexistent/initdb"], root=place / "root")

    with ThreadPoolExecutor(16) as pool:
        attempts = list(pool.map(lambda _: run_isolated(argv, timeout=20), range(400)))

    assert {attempt.returncode for attempt in attempts} == {127}


def test_the_probe_finds_what_works_here() -> None:
    found = probe_isolation()

    assert found.kind in {"root", "user"} or found.obstacles


def test_required_isolation_that_is_not_to_be_had_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(isolation_module, "_SEARCH_PATH", str(tmp_path))

    with pytest.raises(ScratchError, match=r"unshare.*util-linux.*verify\.server_conn_id"):
        choose_isolation("required")


def test_isolation_that_was_declined_is_called_by_its_name() -> None:
    assert choose_isolation("none").description.startswith("not isolated")


def processes_named(argument: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if argument.encode() in words and b"sleep" in words[0]:
                found.append(int(entry.name))
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
