"""The worst night: everything is gone and Airflow too, and somebody has the runbook and a terminal."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from embedded import airflow, databases
from tests.runbook.machine import Machine
from tests.runbook.test_situations import contents, count, machine_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.integration,
    pytest.mark.long,
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("runbook"),
]


@pytest.fixture
def machine() -> Iterator[Machine]:
    """The whole embedded stack, with Airflow, backed up."""
    root = Path(tempfile.mkdtemp(prefix="backstop-night-"))
    root.chmod(0o755)
    machine = Machine(root)
    try:
        machine.start(with_airflow=True)
        yield machine
    finally:
        machine.stop()


def kill_airflow_and_drop_its_database(machine: Machine) -> None:
    server = machine.stack.airflow()
    running = [pid for name in airflow.COMPONENTS if (pid := server.pid(name)) is not None]
    assert running
    family = [one for pid in running for one in (psutil.Process(pid), *psutil.Process(pid).children(True))]
    for one in family:
        if one.is_running():
            os.kill(one.pid, signal.SIGKILL)
    psutil.wait_procs(family, timeout=30)
    for name in ("airflow", databases.INVENTORY):
        machine_metadata(machine, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("way", ["part by part", "as one incident"])
def test_a_whole_host_and_its_airflow_come_back_by_the_runbook_alone(machine: Machine, way: str) -> None:
    machine.ask("UPDATE equipment SET notes = 'the last minute' WHERE id = 1")
    machine.wait_until_archived()
    media, host = contents(machine.home.media), contents(machine.home.host)
    tables = {name: count(machine, name) for name in ("users", "equipment", "calibrations", "certificates")}

    kill_airflow_and_drop_its_database(machine)
    machine.lose_the_data_directory()
    shutil.rmtree(machine.home.host)
    began = time.monotonic()

    if way == "as one incident":
        machine.follow("Several things are lost at once")
    else:
        machine.decide("The database is gone", "A")
        machine.decide("The media folder is gone", "")
        machine.decide("A configuration file was broken", "B")
    seconds = time.monotonic() - began

    assert {name: count(machine, name) for name in tables} == tables
    assert machine.ask("SELECT notes FROM equipment WHERE id = 1") == "the last minute"
    assert contents(machine.home.media) == media
    assert contents(machine.home.host) == host
    print(f"{way}: everything was back after {seconds:.0f} s")

    machine.follow(
        "Airflow is gone too",
        {"python -m backstop migrate-inventory": lambda: databases.prepare_metadata(machine.stack.metadata)},
    )
